"""Says whether a session has used a security key of a model that a policy asks for. Pure."""

from collections.abc import Collection

from gateway.config.schema import Policy
from gateway.model import Principal


def has_key_model(policy: Policy, principal: Principal, now: float) -> bool:
    """Whether a security key was used in this session, within `max_age`, of a model that the policy asks for.

    Sessions know only models that somebody vouched for: what a key says of itself is none.
    """
    used = principal.session.key_models.items()
    return any(
        fits_model(model, policy.key_models) and (not policy.max_age or now - at <= policy.max_age)
        for model, at in used
    )


def fits_model(model: str, wanted: Collection[str]) -> bool:
    """Whether a model (an AAGUID, "" for none) is one of those wanted, of which "*" is any."""
    return bool(model) and (model in wanted or "*" in wanted)
