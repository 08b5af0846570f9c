"""Logging: one JSON object a line for machines, or a short text line for terminals. User-controlled text goes into
fields, never into a format, and what could steer a terminal or break a line is escaped in both."""

import json
import logging
import math
import os
import re
import sys
import time
from io import TextIOWrapper
from typing import TextIO

from gateway.config.schema import Log
from gateway.observability.log_output import FAREWELL, LogOutput
from gateway.observability.log_sinks import sink_of

_root = logging.getLogger()
_BARE = re.compile(r"[!#-<>-\[\]-~]*")
"""Printable ASCII without space, quote, "=" and backslash: a value that needs no quotes."""


def escape_unprintable(text: str) -> str:
    """Make text safe for terminals and viewers: `text` with each control, line separator and direction override as a
    JSON escape (\u2028).

    In JSON these stand only inside strings, so a whole line may be given. Visible letters of all scripts stay.
    """
    if text.isascii() and "\x7f" not in text:
        # The formatters have escaped what is below the space already.
        return text
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"


def encode_line(line: str) -> bytes:
    """The bytes of one line. JSON is UTF-8 (RFC 8259 §8.1); no line is lost over a character that can't be written."""
    return line.encode("utf-8", "backslashreplace") + b"\n"


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for machines."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", None)
        line: dict[str, object] = {
            "ts": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if isinstance(fields, dict):
            line.update(fields)
        else:
            line["message"] = record.getMessage()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return escape_unprintable(json.dumps(line, ensure_ascii=False, default=str))


class TextFormatter(logging.Formatter):
    """One short line, for terminals."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", None)
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        text = (
            " ".join(f"{name}={_text_value(value)}" for name, value in fields.items())
            if isinstance(fields, dict)
            else _on_one_line(record.getMessage())
        )
        if record.exc_info:
            # Indented, since a message in it may look like a line of ours.
            stack = self.formatException(record.exc_info).split("\n")
            text += "".join(f"\n  {_on_one_line(one)}" for one in stack)
        return f"{clock} {record.levelname.lower():7} {record.name.removeprefix('gateway.')}: {text}"


def _on_one_line(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def _text_value(value: object) -> str:
    """As it is where it can't be taken for more than a value; else quoted as in JSON."""
    if isinstance(value, dict) and all(type(number) is int for number in value.values()):
        text = ",".join(f"{name}:{number}" for name, number in value.items())
    elif isinstance(value, dict | list | tuple):
        text = json.dumps(value, ensure_ascii=False, default=str)
    else:
        text = str(value)
    return text if _BARE.fullmatch(text) else escape_unprintable(json.dumps(text, ensure_ascii=False))


class OutputHandler(logging.Handler):
    """Hands the lines of the logging module to an output."""

    def __init__(self, output: LogOutput) -> None:
        super().__init__()
        self.output = output

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = encode_line(self.format(record))
        except Exception:  # as logging's own handlers do: a bad format must not end a request
            self.handleError(record)
        else:
            self.output.write(line)

    def flush(self) -> None:
        """Called by `logging.shutdown`, at the end of a process."""
        self.output.finish(FAREWELL)


def configure(config: Log, stream: TextIO = sys.stdout) -> None:
    """Send all logs to `stream` in the configured form. Calling it again replaces what it set before."""
    if isinstance(stream, TextIOWrapper):
        # For what others print there, such as codes of the console sender.
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")
        stream.flush()
    formatter = JsonFormatter() if config.format == "json" else TextFormatter()
    output = LogOutput(sink_of(stream), lambda count: _lines_lost(formatter, count))
    handler = OutputHandler(output)
    handler.setFormatter(formatter)
    _root.handlers[:] = [handler]
    _root.setLevel(config.level.upper())
    for noisy in ("asyncio", "aiosqlite", "aiohttp.access", "twilio", "sqlalchemy.engine", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def current_handler() -> OutputHandler | None:
    """What `configure` has set; None if it has not been called."""
    for handler in _root.handlers:
        if isinstance(handler, OutputHandler):
            return handler
    return None


def retry() -> float:
    """Write the lines that wait, as a process without an event loop must; returns the seconds until it must again."""
    handler = current_handler()
    return math.inf if handler is None else handler.output.retry()


def _lines_lost(formatter: logging.Formatter, count: int) -> bytes:
    message = "%d lines of the log are lost: nobody read it fast enough"
    record = logging.LogRecord("gateway.log", logging.WARNING, __file__, 0, message, (count,), None)
    return encode_line(formatter.format(record))


def _forget_lines_of_parent() -> None:
    handler = current_handler()
    if handler is not None:
        handler.output.forget()


os.register_at_fork(after_in_child=_forget_lines_of_parent)
