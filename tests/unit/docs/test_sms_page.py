"""docs/sms.md prints Twilio's error codes as the code knows them."""

from pathlib import Path

from gateway.messaging.senders.twilio.error_table import table

PAGE = Path("docs/sms.md")
BEGIN, END = "<!-- error codes: begin -->\n", "<!-- error codes: end -->"


def test_the_page_has_the_table_of_the_code() -> None:
    """`python -m gateway.messaging.senders.twilio.error_table` prints it."""
    _, _, rest = PAGE.read_text().partition(BEGIN)
    printed, _, _ = rest.partition(END)
    assert printed.strip() == table().strip()
