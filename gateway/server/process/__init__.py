"""The supervisor and its workers, the listening sockets, signals, and systemd."""
