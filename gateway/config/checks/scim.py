"""Checks of the section `scim`: users that could not be added, and attributes that can't be called so."""

from collections.abc import Iterator
from importlib.util import find_spec

from gateway.config.checks.finding import Check, Finding
from gateway.config.names import is_attribute_name
from gateway.config.schema import Config, DirectoryDatabase

MEND = "pip install 'auth-gateway[scim]'"


def scim(config: Config) -> Iterator[Finding]:
    """Find what would keep users from being taken."""
    for name in config.scim.attributes:
        if not is_attribute_name(name):
            mend = "use up to 40 lower-case letters, digits, _ and -, and none of username, name, email, phone, groups"
            yield Finding(("scim", "attributes", name), f"`{name}` is not the name of an attribute", mend)
    if not config.scim.enabled:
        return
    if find_spec("scim2_models") is None:
        yield Finding(("scim", "enabled"), "needs the SCIM library, which is not there", MEND)
    if not isinstance(config.directory, DirectoryDatabase):
        problem = f"users are in the {config.directory.kind} directory, where the gateway can't add any"
        yield Finding(("scim", "enabled"), problem, "remove it, or write `directory: {kind: database}`")


SCIM_CHECKS: tuple[tuple[frozenset[str], Check], ...] = ((frozenset({"scim", "directory"}), scim),)
