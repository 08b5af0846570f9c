"""Imports point one way: a module uses only what stands above it in ORDER, or its own package."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# From what knows nothing to what knows all. A new package is put where it belongs, or this test fails.
ORDER = (
    "clock i18n model",
    "errors",
    "config",
    "policy request",
    "keyfile",
    "keyring proxy",
    "stores",
    "directory observability rate_limits",
    "messaging session",
    "authn",
    "portal",
    "admin forwardauth oidc",
    "engines scim",
    "server",
    "cli",
    "__main__",
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names.split()}

CONCRETE = ("stores", "messaging.senders", "directory")
SEAMS = {
    "stores.protocols",
    "messaging.senders.base",
    "directory.base",
    "directory.identifiers",
    "directory.user_files",
    "directory.legacy_hashes",
    "directory.password_hashing",
}
COMPOSERS = ("server", "cli", "messaging", *CONCRETE)

NEVER = [
    ("proxy", ("portal", "authn", "stores", "messaging", "directory", "session")),
    ("portal", ("proxy", "server")),
    ("authn.factors", ("portal", "proxy", "server")),
    ("policy", ("request", "session", "stores", "authn")),
]
"""What would let one side of the gateway reach into the other."""

PURE = (
    *("request.client_kind", "portal.unauthorized", "portal.signin.redirect_loop_cause"),
    *("policy.decide", "policy.grantable_groups", "policy.explain", "policy.criteria", "policy.queries"),
    *("config.patterns", "rate_limits", "model", "errors"),
    *("portal.return_url", "authn.login", "proxy.request_headers"),
)
"""Decisions without I/O of their own: no web framework, no database, no socket."""
EFFECTS = {"aiohttp", "sqlalchemy", "socket", "requests", "twilio"}


def modules() -> dict[str, Path]:
    """Name below `gateway` -> file."""
    found = {}
    for file in (ROOT / "gateway").rglob("*.py"):
        parts = file.relative_to(ROOT / "gateway").with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(source: str, known: set[str]) -> Iterator[str]:
    """All modules that a source names, at its top or inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield str(node.module)
            inner = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name for name in inner if name.removeprefix("gateway.") in known)


def of_ours(source: str, known: set[str]) -> set[str]:
    names = {name.removeprefix("gateway.") for name in imports(source, known) if name.startswith("gateway.")}
    return names - {"__version__"}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def rank(name: str) -> int:
    """The rank of the longest prefix that ORDER names."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        found = RANK.get(".".join(parts[:length]))
        if found is not None:
            return found
    raise AssertionError(f"gateway/{name.replace('.', '/')} has no place in ORDER yet")


def wrong_ways(name: str, used: set[str]) -> list[str]:
    family = name.partition(".")[0]
    return [other for other in used if not within(other, family) and rank(other) >= rank(name)]


KNOWN = set(modules())


@cache
def uses() -> dict[str, set[str]]:
    """Module -> the modules of ours that it names."""
    return {name: of_ours(file.read_text(), KNOWN) for name, file in modules().items() if name}


def behind_the_seams(name: str, used: set[str]) -> list[str]:
    """The concrete stores, senders and directories that a module knows and should not."""
    if any(within(name, composer) for composer in COMPOSERS):
        return []
    concrete = {one for one in used if any(within(one, package) for package in CONCRETE)}
    return [one for one in concrete if not any(within(one, seam) for seam in SEAMS) and one not in CONCRETE]


def test_modules_import_only_what_stands_before_them() -> None:
    assert {name: wrong for name, used in uses().items() if (wrong := wrong_ways(name, used))} == {}


def test_concrete_stores_senders_and_directories_are_known_to_the_composition_root_alone() -> None:
    assert {name: wrong for name, used in uses().items() if (wrong := behind_the_seams(name, used))} == {}


@pytest.mark.parametrize(("package", "forbidden"), NEVER)
def test_the_sides_of_the_gateway_do_not_know_each_other(package: str, forbidden: tuple[str, ...]) -> None:
    for name in (name for name in uses() if within(name, package)):
        assert [used for used in uses()[name] for other in forbidden if within(used, other)] == [], name


@pytest.mark.parametrize("name", PURE)
def test_decisions_have_no_effects(name: str) -> None:
    used = {top.partition(".")[0] for top in imports(modules()[name].read_text(), KNOWN)}
    assert used & EFFECTS == set()


def test_no_module_is_imported_in_a_circle() -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        if name not in done:
            for used in uses().get(name, ()):
                visit(used, (*path, name))
            done.add(name)

    for name in uses():
        visit(name, ())


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_the_parent_of_the_workers_has_not_chosen_where_metrics_are(command: str) -> None:
    """prometheus_client does so when it is imported, so all counts of workers were lost (see shared_metrics)."""
    source = f"import sys, gateway.cli.{command}; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", source], cwd=ROOT).returncode == 0


def test_a_wrong_import_is_noticed_even_inside_a_function() -> None:
    source = "def f():\n    from gateway import server\n    import gateway.cli.serve\n"
    assert sorted(wrong_ways("policy.decide", of_ours(source, KNOWN))) == ["cli.serve", "server"]
    assert behind_the_seams("portal.page", {"stores.sql.engine", "directory.base"}) == ["stores.sql.engine"]
