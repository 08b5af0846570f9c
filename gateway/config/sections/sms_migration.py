"""The plan by which users move away from codes by SMS (`sms.migration`)."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, PlainValidator

from gateway.config.sections.base import Section, Words
from gateway.config.units import Duration


def parse_day(value: object) -> date:
    """Read a day such as `2027-04-01` (ISO 8601). Raises ValueError."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and len(value) == len("2027-04-01"):
        return date.fromisoformat(value)
    raise ValueError("a day is text like 2027-04-01")


Day = Annotated[
    date,
    PlainValidator(parse_day, json_schema_input_type=str),
    PlainSerializer(date.isoformat),
    Words("a day such as `2027-04-01`"),
]


class SmsMigration(Section):
    """Users who have codes by SMS alone are asked for a safer factor, and may be refused from a day on.

    Days begin at midnight UTC.
    """

    nudge_from: Day | None = Field(
        None, description="from this day on, a page after a sign-in by SMS asks for an app or a passkey"
    )
    nudge_every: Duration = Field(86400.0, description="how often one user sees that page; 0s = each time")
    deadline: Day | None = Field(
        None, description="the day that this page names, and on which `after` begins"
    )
    after: Literal["nudge", "deny"] = Field(
        "nudge", description="from `deadline` on: go on asking, or send no codes by SMS to sign in"
    )
    exempt_groups: tuple[str, ...] = Field(
        (), description="whose members are neither asked nor refused, such as people without a smartphone"
    )


def begins(day: date) -> float:
    """Return when a day begins, in Unix seconds (UTC)."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
