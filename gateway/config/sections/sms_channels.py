"""Over which channels codes go, and who they come from, country by country."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from gateway.config.sections.base import Section, Words

ChannelName = Literal["sms", "call", "whatsapp", "rcs"]
Place = Annotated[
    str,
    StringConstraints(pattern=r"^([A-Z]{2}|default)$"),
    Words("an ISO country code such as `DE`, or `default`"),
]
Sender = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    Words('a number such as `"+15005550006"`, a short code, a name, or a Messaging Service SID, in quotes'),
]
ContentSid = Annotated[
    str, StringConstraints(pattern=r"^HX[0-9a-fA-F]{32}$"), Words("a Content SID: `HX` and 32 hex digits")
]
TemplateLanguage = Annotated[
    str,
    StringConstraints(pattern=r"^([a-z]{2,3}(-[A-Za-z]{2,4})?|default)$"),
    Words("a language such as `de`, or `default`"),
]
WhatsAppNumber = Annotated[
    str, StringConstraints(pattern=r"^\+[1-9]\d{6,14}$"), Words('a number in quotes such as `"+15005550006"`')
]
RcsAgent = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$"),
    Words("an RCS sender ID such as `brand_agent`, without `rcs:`"),
]


class SmsWhatsApp(Section):
    """WhatsApp through Twilio's Messages API: an approved authentication template whose variable 1 is the code."""

    from_: WhatsAppNumber = Field(alias="from", description="the WhatsApp sender's number")
    templates: dict[TemplateLanguage, ContentSid] = Field(
        min_length=1, description="by language of the page; `default` for all others"
    )


class SmsRcs(Section):
    """RCS through Twilio's Messages API, without Twilio's own change to SMS: `channels` says what comes next."""

    from_: RcsAgent = Field(alias="from", description="the RCS sender's ID")
    templates: dict[TemplateLanguage, ContentSid] = Field(
        default_factory=dict, description="by language of the page; none = the text of the SMS"
    )
