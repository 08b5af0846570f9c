"""How codes reach people: the SMS and the mail section, one class per provider."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from gateway.config.sections.base import Section, Url, Words
from gateway.config.sections.sms_backup import SmsBackup
from gateway.config.sections.sms_budgets import Fallback, SmsBudgets, SmsPumping, SmsSpending
from gateway.config.sections.sms_channels import ChannelName, Place, Sender, SmsRcs, SmsWhatsApp
from gateway.config.sections.sms_lookup import SmsLookup
from gateway.config.sections.sms_migration import SmsMigration
from gateway.config.units import Duration

Country = Annotated[
    str, StringConstraints(pattern=r"^[A-Z]{2}$"), Words("an ISO country code such as `DE` or `US`")
]
AccountSid = Annotated[
    str, StringConstraints(pattern=r"^AC[0-9a-fA-F]{32}$"), Words("an Account SID: `AC` and 32 hex digits")
]
MessagingSid = Annotated[
    str,
    StringConstraints(pattern=r"^MG[0-9a-fA-F]{32}$"),
    Words("a Messaging Service SID: `MG` and 32 hex digits"),
]
VerifySid = Annotated[
    str,
    StringConstraints(pattern=r"^VA[0-9a-fA-F]{32}$"),
    Words("a Verify Service SID: `VA` and 32 hex digits"),
]
SmsFrom = Annotated[
    str,
    StringConstraints(pattern=r"^(\+[1-9]\d{6,14}|[A-Za-z0-9 ]{1,11})$"),
    Words('a number in quotes such as `"+15005550006"`, or a name of up to 11 letters and digits'),
]
Number = Annotated[
    str, StringConstraints(pattern=r"^\+[1-9]\d{6,14}$"), Words('a number in quotes such as `"+15005550006"`')
]
MailFrom = Annotated[
    str,
    StringConstraints(pattern=r"^[^\r\n@]+@[^\r\n@]+$"),
    Words("a mail address such as `login@example.com` or `Login <login@example.com>`"),
]


class SmsBase(Section):
    """What every way to send codes by SMS has in common."""

    code_length: int = Field(6, ge=6, le=10, description="digits of a code")
    code_lifetime: Duration = Field(300.0, description="how long a code is good")
    resend_after: Duration = Field(30.0, description="pause before another code")
    allowed_countries: tuple[Country, ...] = Field(
        (), description="countries that may receive SMS; empty = all"
    )
    default_country: Country | Literal[""] = Field(
        "",
        description="country of numbers that have no country code, in LDAP, files of users, commands and forms; "
        "none = such numbers can't be read",
    )
    budgets: SmsBudgets = Field(SmsBudgets(), description="how many may be sent (docs/sms.md)")
    spending: SmsSpending = Field(
        SmsSpending(), description="what they may cost a day (the terminal costs nothing)"
    )
    pumping: SmsPumping = Field(SmsPumping(), description="ranges of numbers that only cost")
    fallback: tuple[Fallback, ...] = Field(
        ("voice", "email", "totp"),
        description="what is asked for, in this order, when a budget or the cap allows no SMS",
    )
    migration: SmsMigration = Field(
        SmsMigration(), description="moves users who have nothing but SMS to something safer (docs/sms.md)"
    )
    backup: SmsBackup | None = Field(
        None,
        description="a second vendor, which sends while the first one takes nothing; none = there is none",
    )
    landlines: Literal["call", "sms", "refuse"] = Field(
        "call",
        description="numbers at a fixed line: a call where the provider can call (else refused), an SMS all the same, "
        "or refused",
    )
    cool_off: Duration = Field(
        86400.0,
        description="after a change of number, codes still go to the old one for this long; 0s = never",
    )
    messages_kept: Duration = Field(90 * 86400.0, description="how long delivery records are kept")


class SmsConsole(SmsBase):
    """Codes appear on the terminal. For trying out, not for production."""

    provider: Literal["console"] = Field("console", description="codes appear on the terminal")
    landlines: Literal["call", "sms", "refuse"] = Field(
        "sms", description="numbers at a fixed line; the terminal takes all"
    )
    spending: SmsSpending = Field(
        SmsSpending(price=0, voice_price=0),
        description="what they may cost a day (the terminal costs nothing)",
    )


class TwilioAccount(SmsBase):
    """An account at Twilio, and how it is called."""

    account_sid: AccountSid = Field(description="from the Twilio console")
    auth_token: SecretStr = Field(description="from the Twilio console")
    base_url: Url = Field("https://api.twilio.com", description="another endpoint for the same API")
    timeout: Duration = Field(10.0, description="one call to Twilio")
    retries: int = Field(2, ge=0, le=5, description="after 429 and 5xx, with jitter")
    voice: bool = Field(True, description="codes can also be read out in a call")
    channels: dict[Place, tuple[ChannelName, ...]] = Field(
        default_factory=dict,
        description="how codes go out, by country of the number, in this order: what a channel does not take goes on "
        "to the next; none for a country = `default`, else `[sms]`",
    )
    lookup: SmsLookup = Field(SmsLookup(), description="what is asked about a number before (docs/sms.md)")


class SmsTwilio(TwilioAccount):
    """Twilio's Messages API; the codes are ours. Needs `from` or `messaging_service_sid`."""

    provider: Literal["twilio"] = Field(description="Twilio Messages API")
    from_: SmsFrom | None = Field(None, alias="from", description="sender number (E.164) or name")
    messaging_service_sid: MessagingSid | None = Field(None, description="instead of `from`")
    senders: dict[Place, Sender] = Field(
        default_factory=dict,
        description="who SMS come from, by country of the number: a number, short code, name or Messaging Service SID; "
        "`default` stands in for `from`",
    )
    whatsapp: SmsWhatsApp | None = Field(None, description="for the channel `whatsapp`")
    rcs: SmsRcs | None = Field(None, description="for the channel `rcs`")
    voice_from: Number | None = Field(
        None, description="number that calls; none = `from` if it is a number, else no calls"
    )
    status_callbacks: bool | None = Field(
        None, description="Twilio tells us of deliveries at public_url; none = unless that is a local address"
    )

    def sender_of(self, country: str) -> str:
        """Return who SMS to a country come from; "" if nobody is named."""
        own = self.senders.get(country) or self.senders.get("default")
        return own or self.from_ or self.messaging_service_sid or ""


class SmsTwilioVerify(TwilioAccount):
    """Twilio Verify makes, sends and checks the codes."""

    provider: Literal["twilio_verify"] = Field(description="Twilio Verify API")
    base_url: Url = Field("https://verify.twilio.com", description="another endpoint for the same API")
    service_sid: VerifySid = Field(description="the Verify service")


class SmsWebhook(SmsBase):
    """Any other provider: we POST JSON `{to, text}` to a URL of yours."""

    provider: Literal["webhook"] = Field(description="a URL of yours sends the SMS")
    url: Url = Field(description="gets a POST with JSON `{to, text}`")
    headers: dict[str, SecretStr] = Field(
        default_factory=dict, description="sent along, for its authentication; `Name_file` reads a file"
    )
    timeout: Duration = Field(10.0, description="one call")
    retries: int = Field(2, ge=0, le=5, description="after 429 and 5xx, with jitter")


Sms = Annotated[SmsConsole | SmsTwilio | SmsTwilioVerify | SmsWebhook, Field(discriminator="provider")]


class EmailBase(Section):
    """What every way to send mail has in common."""

    second_factor: bool = Field(
        True, description="codes by mail are a second factor for whoever has an address"
    )
    code_length: int = Field(6, ge=6, le=10, description="digits of a code")
    code_lifetime: Duration = Field(300.0, description="how long a code is good")
    resend_after: Duration = Field(30.0, description="pause before another code")
    per_user_hourly: int = Field(20, ge=1, description="codes by mail per user and hour")
    per_ip_hourly: int = Field(60, ge=1, description="codes by mail per client address and hour")


class EmailConsole(EmailBase):
    """Mails appear on the terminal. For trying out, not for production."""

    provider: Literal["console"] = Field("console", description="mails appear on the terminal")


class EmailSmtp(EmailBase):
    """Any mail server."""

    provider: Literal["smtp"] = Field(description="a mail server")
    host: str = Field(min_length=1, description="name or address of the mail server")
    port: int = Field(587, ge=1, le=65535, description="587 for starttls, 465 for tls")
    tls: Literal["starttls", "tls", "none"] = Field("starttls", description="`none` sends in the clear")
    username: str | None = Field(None, description="for servers that ask for one")
    password: SecretStr | None = Field(None, description="goes with `username`")
    from_: MailFrom = Field(alias="from", description="sender address")
    ehlo: str | None = Field(None, description="name that we greet the server with; none = this machine's")
    timeout: Duration = Field(10.0, description="one delivery")


Email = Annotated[EmailConsole | EmailSmtp, Field(discriminator="provider")]
