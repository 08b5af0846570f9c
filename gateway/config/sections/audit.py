"""The section `audit`: how much of the audit log stays in the database, and where the rest goes."""

from pathlib import Path

from pydantic import Field

from gateway.config.sections.base import Section
from gateway.config.units import Duration, Size


class AuditKeep(Section):
    """How much of the audit log stays in the database."""

    age: Duration | None = Field(
        None, description="how long rows stay; none = `log.audit_kept`, which is 400d"
    )
    size: Size = Field(0, description="about how much of it stays, the newest; `unlimited` goes by age alone")


class AuditArchive(Section):
    """Rows are written to compressed files before they are deleted; while that fails, none are."""

    folder: Path = Field(
        description="where the files go; replicas write to the same folder or each to its own"
    )
    key_file: Path | None = Field(
        None, description="seals the files; a file whose content is the secret, at least 12 bytes"
    )


class AuditSection(Section):
    """The audit log in the database, and its archive."""

    keep: AuditKeep = Field(AuditKeep(), description="what stays in the database")
    archive: AuditArchive | None = Field(None, description="where rows go that don't stay; none = nowhere")
