"""Prints the tables of error codes in docs/sms.md: `python -m gateway.messaging.senders.twilio.error_table`."""

from collections.abc import Iterator

from gateway.errors import SendFailed
from gateway.messaging.senders.twilio.error_entry import Kind, TwilioError
from gateway.messaging.senders.twilio.errors import DICTIONARY, TWILIO_ERRORS

TITLES = {
    Kind.NUMBER: "The user's number",
    Kind.ACCOUNT: "The operator's account, sender, registration or configuration",
    Kind.CARRIER: "A carrier or channel",
    Kind.TEMPORARY: "Passes by itself",
}
_HEAD = (
    "| code | what happened | what the user reads | mend | outage | next |",
    "|---|---|---|---|---|---|",
)


def table() -> str:
    """Return the tables in Markdown, one for each kind."""
    return "\n".join(line for kind in Kind for line in _of(kind))


def _of(kind: Kind) -> Iterator[str]:
    yield from (f"### {TITLES[kind]}", "", *_HEAD)
    for code, entry in sorted(TWILIO_ERRORS.items()):
        if entry.kind is kind:
            yield _row(code, entry)
    yield ""


def _row(code: int, entry: TwilioError) -> str:
    cells = (
        f"[{code}]({DICTIONARY}{code})",
        entry.what,
        entry.public or SendFailed.public,
        entry.mend,
        "yes" if entry.outage else "",
        _next(entry),
    )
    return f"| {' | '.join(cells)} |"


def _next(entry: TwilioError) -> str:
    """What is tried next: another channel at once, the user's other number if they ask for it."""
    tried = (("channel", entry.next_channel), ("number", entry.next_number))
    return ", ".join(word for word, wanted in tried if wanted)


if __name__ == "__main__":
    print(table())
