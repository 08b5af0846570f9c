"""What follows when a sign-in is unusual."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from gateway.config.sections.base import Section
from gateway.config.units import Duration

RiskAction = Literal["allow", "notify", "step_up", "deny"]


class Risk(Section):
    """What follows when a sign-in is unusual. Every signal is in the audit log, whatever the action.

    `notify` sends the user a mail; `step_up` also asks for a second factor, even where a remembered device or the
    password alone would do; `deny` refuses.
    """

    geoip_file: Path | None = Field(
        None, description="MaxMind DB with cities (.mmdb); without it, countries and travel are unknown"
    )
    new_network: RiskAction = Field("allow", description="a network (/24 or /48) not seen before")
    new_device: RiskAction = Field("notify", description="a kind of browser not seen before")
    new_country: RiskAction = Field("step_up", description="a country not seen before")
    impossible_travel: RiskAction = Field(
        "step_up", description="farther from the last sign-in than one can have travelled"
    )
    max_speed_kmh: float = Field(900.0, ge=1, description="the fastest travel that is possible")
    remembered: Duration = Field(180 * 86400.0, description="how long a place counts as seen")
