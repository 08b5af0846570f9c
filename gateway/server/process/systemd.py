"""Tells systemd (Type=notify) what the service is doing. Without NOTIFY_SOCKET every call is a no-op."""

import os
import socket
import time


def notify(*lines: str) -> None:
    """Send state lines such as "READY=1" (see sd_notify(3)); a supervisor's absence is no error."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto("\n".join(lines).encode(), address)
        except OSError:
            return


def reloading() -> None:
    """RELOADING=1 must carry the monotonic time, else systemd 253 and later can't order it (sd_notify(3))."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def watchdog_interval() -> float:
    """Seconds between two signs of life: half of WatchdogSec= (sd_watchdog_enabled(3)); infinity without one."""
    ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 2e6 if ours and microseconds.isdigit() else float("inf")
