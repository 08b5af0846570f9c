"""The supervisor, its workers, and what they share: sockets, signals, word to systemd."""
