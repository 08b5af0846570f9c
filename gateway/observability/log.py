"""Logging: one JSON object a line for machines, or a short text line for terminals. User-controlled text goes into
fields, never into a format."""

import json
import logging
import sys
import time
from io import TextIOWrapper
from typing import TextIO

from gateway.config.schema import Log


class JsonFormatter(logging.Formatter):
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
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", None)
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        text = (
            " ".join(f"{k}={v}" for k, v in fields.items())
            if isinstance(fields, dict)
            else record.getMessage()
        )
        text = text.replace("\n", "\\n").replace("\r", "\\r")
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return f"{clock} {record.levelname.lower():7} {record.name.removeprefix('gateway.')}: {text}"


def configure(config: Log, stream: TextIO = sys.stdout) -> None:
    """Send all logs to `stream` in the configured form. Calling it again replaces what it set before."""
    if isinstance(stream, TextIOWrapper):
        # No line is lost over a character that can't be written. JSON is UTF-8 (RFC 8259 §8.1).
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if config.format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config.level.upper())
    for noisy in ("asyncio", "aiosqlite", "aiohttp.access", "twilio", "sqlalchemy.engine", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
