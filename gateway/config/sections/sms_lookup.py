"""What is asked about a number before a code goes there (Twilio Lookup v2)."""

from typing import Literal

from pydantic import Field

from gateway.config.sections.base import Section, Url
from gateway.config.sections.sms_budgets import Amount
from gateway.config.units import Duration

Act = Literal["allow", "step_up", "deny"]
PACKAGES = ("line_type", "sim_swap", "reassigned", "pumping_risk")


class LookupPrices(Section):
    """What Twilio takes for asking about one number."""

    line_type: Amount = Field(0.008, description="kind of line")
    sim_swap: Amount = Field(0.10, description="last change of the SIM")
    reassigned: Amount = Field(0.02, description="whether the number changed hands")
    pumping_risk: Amount = Field(0.025, description="risk of SMS pumping")


class SmsLookup(Section):
    """Twilio Lookup v2, asked before a code goes out. Everything is off unless switched on: it costs money.

    `deny`: no code goes to such a number; another factor is asked for. `step_up`: another factor is asked for where the
    user has one, else the code goes out. `allow`: it is noted only.
    """

    line_type: bool = Field(
        False, description="ask what kind of line it is; landlines are treated as `sms.landlines` says"
    )
    sim_swap: bool = Field(False, description="ask when the SIM was changed (mobile numbers, some countries)")
    reassigned: bool = Field(
        False, description="ask whether the number went to somebody else since its last right code (US)"
    )
    pumping_risk: bool = Field(False, description="ask for the risk of SMS pumping")
    on_voip: Act = Field("allow", description="numbers of Internet telephony; needs `line_type`")
    on_sim_swap: Act = Field("deny", description="a SIM changed within `sim_swap_within`")
    on_reassigned: Act = Field("deny", description="a number that went to somebody else")
    on_pumping_risk: Act = Field("deny", description="a risk of `pumping_score` and more")
    sim_swap_within: Duration = Field(7 * 86400.0, description="how long a changed SIM is suspected")
    pumping_score: int = Field(75, ge=1, le=100, description="0 is no risk, 100 the highest")
    when_down: Literal["allow", "refuse"] = Field(
        "allow", description="while Lookup can't be asked or paid: codes go out all the same, or don't"
    )
    kept: Duration = Field(7 * 86400.0, description="how long an answer counts")
    sim_swap_kept: Duration = Field(3600.0, description="how long an answer about the SIM counts")
    prices: LookupPrices = Field(
        LookupPrices(), description="counted in `sms.spending.daily_cap` before anything is asked"
    )
    timeout: Duration = Field(3.0, description="one question; a sign-in waits for it")
    base_url: Url = Field("https://lookups.twilio.com", description="another endpoint for the same API")

    @property
    def packages(self) -> tuple[str, ...]:
        """What is asked, in Twilio's order."""
        return tuple(name for name in PACKAGES if getattr(self, name))
