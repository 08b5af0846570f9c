"""The second SMS vendor: an HTTP request as a template, and ready templates of vendors as their documentation has them.

In every text of a template `{to}` stands for the number with `+`, `{digits}` for it without, `{text}`, `{from}`,
`{account}` and `{secret}` for what they say, `{basic}` for both as HTTP Basic has them (RFC 7617), `{encoding}` for
`text` or, where a letter is not one of GSM 03.38, `unicode`, and `{reference}` for our id of the message.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from gateway.config.sections.base import Section, Words
from gateway.config.sections.sms_budgets import Amount
from gateway.config.units import Duration

PLACEHOLDERS = frozenset(
    {"to", "digits", "text", "from", "account", "secret", "basic", "encoding", "reference"}
)
Preset = Literal["vonage", "messagebird", "sinch", "plivo", "custom"]
VendorName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,15}$"),
    Words("a short name in small letters, such as `vonage`"),
]
TemplateUrl = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[^\s]+$"),
    Words("an https:// URL, with `{account}` where it goes"),
]
Status = Annotated[int, Field(ge=200, le=299)]


class SmsBackup(Section):
    """A second vendor, which sends while the first one takes nothing. Any HTTP service can be described."""

    preset: Preset = Field(
        "custom", description="the request as that vendor documents it; keys given here replace its own"
    )
    name: VendorName | None = Field(None, description="in logs, metrics and records; none = the preset")
    url: TemplateUrl | None = Field(None, description="where messages are posted; none = the preset's")
    method: Literal["POST", "PUT"] = Field("POST", description="of the request")
    account: str = Field("", description="`{account}`: the key, id or plan that the vendor knows you by")
    secret: SecretStr | None = Field(None, description="`{secret}`: the key, secret or token that proves it")
    from_: str = Field("", alias="from", description="`{from}`: the sender's number or name")
    headers: dict[str, SecretStr] = Field(
        default_factory=dict, description="sent along; `Name_file` reads a file"
    )
    form: dict[str, str] = Field(default_factory=dict, description="fields of a form, as the body")
    json_: str = Field("", alias="json", description="JSON text, as the body instead of `form`")
    accepted: tuple[Status, ...] = Field(
        (), description="statuses of a message that was taken; empty = any 2xx"
    )
    success_path: str = Field(
        "",
        description="where the JSON answer says so, such as `messages.0.status`; empty = the status is enough",
    )
    success_values: tuple[str, ...] = Field(
        (), description="what must stand there; empty = anything but nothing"
    )
    id_path: str = Field("", description="where the answer has the vendor's id of the message")
    error_path: str = Field("", description="where the answer has the vendor's error code")
    price: Amount | None = Field(
        None,
        description="an SMS of this vendor's to where `prices` has nothing; none = as `sms.spending` says",
    )
    prices: dict[str, Amount] = Field(default_factory=dict, description="as `sms.spending.prices`")
    timeout: Duration = Field(10.0, description="one call")
    retries: int = Field(1, ge=0, le=5, description="after 429 and 5xx, with jitter")
    back_after: Duration = Field(
        60.0, description="pause between two messages that try whether the first vendor is well again"
    )
    allow_private: bool = Field(
        False, description="the vendor may be at a private address, and local ones at http"
    )


@dataclass(frozen=True, slots=True)
class HttpTemplate:
    """A request that sends one message, and how to read its answer. Texts hold placeholders."""

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    json: str = ""
    accepted: tuple[int, ...] = ()
    success_path: str = ""
    success_values: tuple[str, ...] = ()
    id_path: str = ""
    error_path: str = ""


PRESETS: Mapping[str, HttpTemplate] = {
    # https://developer.vonage.com/en/api/sms - the HTTP status is 200 for refused messages, too
    "vonage": HttpTemplate(
        name="vonage",
        url="https://rest.nexmo.com/sms/json",
        form={
            "api_key": "{account}",
            "api_secret": "{secret}",
            "from": "{from}",
            "to": "{digits}",
            "text": "{text}",
            "type": "{encoding}",
        },
        accepted=(200,),
        success_path="messages.0.status",
        success_values=("0",),
        id_path="messages.0.message-id",
        error_path="messages.0.status",
    ),
    # https://developers.messagebird.com/api/sms-messaging/
    "messagebird": HttpTemplate(
        name="messagebird",
        url="https://rest.messagebird.com/messages",
        headers={"Authorization": "AccessKey {secret}", "Accept": "application/json"},
        form={"originator": "{from}", "recipients": "{digits}", "body": "{text}", "datacoding": "auto"},
        accepted=(200, 201),
        success_path="id",
        id_path="id",
        error_path="errors.0.code",
    ),
    # https://developers.sinch.com/docs/sms/api-reference/sms/tag/Batches/ - other regions: `url`
    "sinch": HttpTemplate(
        name="sinch",
        url="https://us.sms.api.sinch.com/xms/v1/{account}/batches",
        headers={"Authorization": "Bearer {secret}"},
        json='{"from": "{from}", "to": ["{digits}"], "body": "{text}"}',
        accepted=(200, 201),
        success_path="id",
        id_path="id",
        error_path="code",
    ),
    # https://www.plivo.com/docs/sms/api/message/send-a-message/ - `log` keeps the code out of Plivo's own log
    "plivo": HttpTemplate(
        name="plivo",
        url="https://api.plivo.com/v1/Account/{account}/Message/",
        headers={"Authorization": "Basic {basic}"},
        json='{"src": "{from}", "dst": "{digits}", "text": "{text}", "log": "false"}',
        accepted=(202,),
        success_path="message_uuid.0",
        id_path="message_uuid.0",
    ),
    "custom": HttpTemplate(name="backup", url=""),
}
NEEDS = {
    "vonage": ("account", "secret", "from_"),
    "messagebird": ("secret", "from_"),
    "sinch": ("account", "secret"),
    "plivo": ("account", "secret", "from_"),
    "custom": (),
}
"""What each preset can't do without."""


def template_of(backup: SmsBackup) -> HttpTemplate:
    """Return the preset's template, with what the operator wrote in its place. Raises nothing; `checks/sms.py` has
    looked at it.
    """
    preset = PRESETS[backup.preset]
    written = {name: value.get_secret_value() for name, value in backup.headers.items()}
    body_given = bool(backup.form or backup.json_)
    return HttpTemplate(
        name=backup.name or preset.name,
        url=backup.url or preset.url,
        headers={**preset.headers, **written},
        form=backup.form if body_given else preset.form,
        json=backup.json_ if body_given else preset.json,
        accepted=backup.accepted or preset.accepted,
        success_path=backup.success_path or preset.success_path,
        success_values=backup.success_values or preset.success_values,
        id_path=backup.id_path or preset.id_path,
        error_path=backup.error_path or preset.error_path,
    )
