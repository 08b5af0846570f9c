"""Where traces go."""

from pydantic import Field

from gateway.config.sections.base import SecretUrl, Section


class TracingSection(Section):
    """Needs the extra `otel`. A trusted proxy that has begun a trace decides whether it is recorded."""

    endpoint: SecretUrl | None = Field(
        None,
        repr=False,
        description="OTLP over HTTP, such as `http://localhost:4318/v1/traces`; none = no traces",
    )
    sample: float = Field(0.1, ge=0, le=1, description="share of the requests that begin a trace here")
    service_name: str = Field("auth-gateway", description="what the traces are filed under")
