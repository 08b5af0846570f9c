"""Which models of security keys count."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from gateway.config.sections.base import Section, Words

Aaguid = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"),
    AfterValidator(str.lower),
    Words("an AAGUID such as `cb69481e-8ff7-4039-93ec-0a2729a154a8`"),
]


KeyModel = Annotated[
    str,
    StringConstraints(pattern=r"^(\*|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$"),
    AfterValidator(str.lower),
    Words('an AAGUID such as `cb69481e-8ff7-4039-93ec-0a2729a154a8`, or "*" for any'),
]


class Attestation(Section):
    """Models of security keys that count as `webauthn` (docs/factors.md). Passkeys of phones and browsers have none."""

    allow: tuple[Aaguid, ...] = Field((), description="only these models; needs `metadata_file`")
    deny: tuple[Aaguid, ...] = Field((), description="none of these")
    metadata_file: Path | None = Field(
        None, description="FIDO's metadata (MDS3, blob.jwt): only keys whose maker vouches for them by it"
    )
    required: Literal["everywhere", "by_rules"] = Field(
        "everywhere",
        description="whether every key must be one that the metadata vouches for, or only where a rule's `key_models` "
        "asks for it",
    )
    metadata_root_file: Path | None = Field(
        None, description="PEM of the root certificate that the metadata is signed under"
    )
