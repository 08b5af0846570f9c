"""Users, second factors and rules of other gateways: taken over whole, or named with the reason; never looser."""

import asyncio
import json
import os
import sqlite3
from collections.abc import Awaitable, Callable
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pyotp
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.cli import main
from gateway.cli.context import Opened, run
from gateway.cli.importers.authelia.queries import query_of
from gateway.cli.importers.findings import NotOurs
from gateway.config.loader import read_text
from gateway.config.sections.answers import Respond
from gateway.model import Principal, SessionRecord, User
from gateway.policy.decide import Routes, decide
from gateway.request.target import make_target
from tests.services import create_database, postgres_server

T = TypeVar("T")
DATA = Path(__file__).parents[2] / "data" / "imports"
PASSWORD = "correct horse battery"
KEY = "a passphrase of at least twenty characters"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(
        f"storage: {{url: 'sqlite:///{tmp_path}/gateway.db'}}\nsession: {{keys_file: '{tmp_path}/session.keys'}}\n"
    )
    return file


@pytest.fixture
def command(config: Path) -> Callable[..., Result]:
    def invoke(*arguments: object) -> Result:
        result = CliRunner().invoke(main, ["import", *map(str, arguments), "--config", str(config)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return invoke


@pytest.fixture
def stored(config: Path) -> Callable[[Callable[[Opened], Awaitable[T]]], T]:
    return lambda work: run(config, work)


def sealed(secret: str) -> bytes:
    """As Authelia writes it: nonce, ciphertext and tag under the SHA-256 of the passphrase."""
    nonce = os.urandom(12)
    return nonce + AESGCM(sha256(KEY.encode()).digest()).encrypt(nonce, secret.encode(), None)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    file = tmp_path / "db.sqlite3"
    (tmp_path / "key").write_text(KEY + "\n")
    connection = sqlite3.connect(file)
    connection.execute(
        "CREATE TABLE totp_configurations (id INTEGER PRIMARY KEY, created_at DATETIME, last_used_at DATETIME,"
        " username VARCHAR(100), issuer VARCHAR(100), algorithm VARCHAR(6), digits INTEGER, period INTEGER,"
        " secret BLOB)"
    )
    connection.execute("CREATE TABLE webauthn_credentials (id INTEGER PRIMARY KEY, username VARCHAR(100))")
    connection.execute("INSERT INTO webauthn_credentials (username) VALUES ('john')")
    for username, algorithm, digits in (("john", "SHA1", 6), ("harry", "SHA256", 8), ("ghost", "SHA1", 6)):
        connection.execute(
            "INSERT INTO totp_configurations (username, issuer, algorithm, digits, period, secret)"
            " VALUES (?, 'Authelia', ?, ?, 30, ?)",
            (username, algorithm, digits, sealed(SECRET)),
        )
    connection.commit()
    connection.close()
    return file


def of_authelia(storage: Path, *more: object) -> list[object]:
    return [
        "authelia",
        "--users",
        DATA / "authelia_users.yml",
        "--storage",
        storage,
        "--encryption-key-file",
        storage.parent / "key",
        *more,
    ]


def test_nothing_changes_until_apply_is_said(command, stored, storage: Path) -> None:
    result = command(*of_authelia(storage))
    assert "3 users and 1 authenticator apps would be imported" in result.output
    assert stored(lambda opened: opened.directory.list(limit=9)) == []
    assert stored(lambda opened: opened.credentials.list("john")) == []


def test_authelias_users_sign_in_with_their_password_and_app(command, stored, storage: Path) -> None:
    result = command(*of_authelia(storage, "--apply"))
    assert "3 users and 1 authenticator apps imported" in result.output
    for name in ("john", "harry"):
        user = stored(lambda opened, name=name: opened.directory.authenticate(name, PASSWORD))
        assert user is not None
        assert user.password_hash.startswith(
            "$argon2id$v=19$m=19456,t=2,p=1$"
        )  # ours, from the first sign-in on
    john = stored(lambda opened: opened.directory.get("john"))
    assert (john.name, john.email, john.groups) == ("John Doe", "john.doe@example.com", ("admins", "dev"))
    assert stored(lambda opened: opened.directory.get("bob")).disabled
    assert stored(lambda opened: opened.directory.get("harry")).phone == ""  # it was no factor there
    (app,) = stored(lambda opened: opened.credentials.list("john", "totp"))
    assert pyotp.TOTP(app.secret.decode()).at(0) == pyotp.TOTP(SECRET).at(0)


def test_what_is_left_out_is_named_with_its_reason(command, storage: Path) -> None:
    result = command(*of_authelia(storage))
    assert result.exit_code == 1
    for words in (
        "james: this kind of password hash",
        "authenticator app of harry: uses SHA256, 8 digits",
        "authenticator app of ghost: there is no such user",
        "security keys of john",
        "users.harry.phone_number",
    ):
        assert words in result.stderr
    assert SECRET not in result.output
    assert "$6$" not in result.output


def test_importing_again_changes_nothing(command, stored, storage: Path) -> None:
    command(*of_authelia(storage, "--apply"))
    again = command(*of_authelia(storage, "--apply"))
    assert "0 users and 0 authenticator apps imported" in again.output
    assert "there is a user john already" in again.stderr
    assert "this user has one already" in again.stderr
    assert len(stored(lambda opened: opened.credentials.list("john", "totp"))) == 1


def test_an_import_is_audited_without_secrets(command, stored, storage: Path) -> None:
    command(*of_authelia(storage, "--apply"))
    (row,) = stored(lambda opened: opened.audit.tail(10, event="users_imported"))
    assert (row.data["count"], row.data["apps"], row.data["source"]) == (3, 1, "authelia")
    assert SECRET not in json.dumps(row.data)


def test_the_wrong_key_or_file_is_said_and_nothing_is_stored(command, stored, storage: Path) -> None:
    (storage.parent / "key").write_text("another passphrase of twenty characters")
    wrong = command(*of_authelia(storage, "--apply"))
    assert wrong.exit_code == 1
    assert "not the encryption key" in wrong.stderr
    storage.write_bytes(b"no database at all, but long enough to be read as one")
    assert "is not Authelia's storage" in command(*of_authelia(storage, "--apply")).stderr
    assert stored(lambda opened: opened.directory.list(limit=9)) == []


# -- rules ---------------------------------------------------------------------------------------------------------


def translated(command, *arguments: object) -> tuple[Any, str]:
    """The configuration that comes out, checked as `check` does, and what was said about it."""
    result = command(*arguments)
    return read_text(result.stdout, "imported.yaml", {}).config, result.stderr


def verdict(
    config: Any, url: str, method: str = "GET", ip: str = "203.0.113.9", who: User | None = None
) -> str:
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    target = make_target(scheme, authority, method, slash + path, ip_address(ip))
    route = Routes(config.routes).find(target)
    if route is None:
        return "deny"
    principal = None
    if who is not None:
        amr = ("password", "totp")
        principal = Principal(who, SessionRecord("s", who.username, amr, dict.fromkeys(amr, 1.0), 1, 1, 9e9))
    return decide(route, target, principal, 2.0).verdict.value


JOHN = User("john", groups=("admins", "dev"))
EVE = User("eve", groups=("staff",))
MAL = User("mal")
APP, WIKI, PUBLIC = "https://app.example.com", "https://wiki.example.com", "https://public.example.com"
INSIDE = {"ip": "10.1.2.3"}

CASES: list[tuple[str, dict[str, Any], str]] = [
    (f"{PUBLIC}/x", {}, "allow"),
    (f"{APP}/api/health", {}, "allow"),
    (f"{APP}/api/health/db", {}, "allow"),
    (f"{APP}/api/healthy", {}, "sign_in"),
    (f"{WIKI}/static/x.css", {}, "allow"),
    (f"{APP}/admin", {"who": JOHN, **INSIDE}, "allow"),
    (f"{APP}/admin", {"who": JOHN}, "deny"),
    (f"{APP}/admin/x", {"who": EVE, **INSIDE}, "deny"),
    (f"{APP}/admin", {"who": User("root"), **INSIDE}, "allow"),
    (f"{APP}/admin", INSIDE, "sign_in"),
    # Could not be said, so refused, whatever comes after:
    (f"{WIKI}/page", {"who": JOHN}, "deny"),
    ("https://john.home.example.com/", {"who": JOHN}, "allow"),
    ("https://john.home.example.com/", {"who": MAL}, "deny"),
    ("https://john.home.example.com/", {}, "sign_in"),
    # A bypass that could not be said opens nothing; the rules after it decide:
    (f"{APP}/version", {}, "sign_in"),
    (f"{APP}/page?token=1", {}, "allow"),
    (f"{APP}/page?Token=1", {}, "sign_in"),
    (f"{APP}/page", {"who": JOHN}, "allow"),
    (f"{APP}/page", {"who": MAL, "method": "POST"}, "deny"),
    ("https://git-1.example.com/", {}, "sign_in"),
    ("https://git-1.example.com/", {"who": JOHN}, "allow"),
    ("https://git-1.example.com/", {"who": EVE}, "allow"),
    ("https://new.example.com/", {"who": MAL}, "deny"),
]


@pytest.mark.parametrize(("url", "how", "expected"), CASES)
def test_authelias_rules_decide_as_they_did_or_refuse(
    command, url: str, how: dict[str, Any], expected: str
) -> None:
    config, _ = translated(command, "authelia", "--configuration", DATA / "authelia_configuration.yml")
    assert verdict(config, url, **how) == expected


def test_each_rule_that_could_not_be_said_is_named(command) -> None:
    config, said = translated(command, "authelia", "--configuration", DATA / "authelia_configuration.yml")
    for words in (
        "rules[2]: resource `^/version$` looks at the query, too; --ignore-queries",
        "rules[5]: subject wants dev and admins at once",
        "rules[8]: domain_regex",
        "rules[11]: never counted",
        "session.cookies[1] (example.org)",
        "notifier: not read",
    ):
        assert words in said
    assert config.server.public_url == "https://auth.example.com"
    assert (config.session.domain, config.forward.compatible) == ("example.com", ("authelia",))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ([[{"key": "a"}]], [{"a": {"present": True}}]),
        ([{"operator": "absent", "key": "a"}], [{"a": {"present": False}}]),
        ([{"key": "a", "value": "1"}], [{"a": {"one_of": ["1"]}}]),
        ([{"operator": "not equal", "key": "a", "value": "1"}], [{"a": {"none_of": ["1"]}}]),
        ([{"operator": "not equal", "key": "a", "value": ""}], [{"a": {"present": True, "none_of": [""]}}]),
        ([{"operator": "pattern", "key": "a", "value": "^1$"}], [{"a": {"matches": ".*(?-s:^1$).*"}}]),
        (
            [[{"key": "a"}, {"operator": "absent", "key": "b"}], [{"key": "c"}]],
            [{"a": {"present": True}, "b": {"present": False}}, {"c": {"present": True}}],
        ),
    ],
)
def test_authelias_queries_are_said_in_our_words(theirs: Any, ours: Any) -> None:
    assert query_of({"query": theirs}) == ours


@pytest.mark.parametrize(
    "condition",
    [
        {"operator": "equal", "key": "a", "value": ""},
        {"operator": "pattern", "key": "a", "value": "^(1|2)?$"},
        {"operator": "pattern", "key": "a", "value": "(?=x)"},
        {"operator": "like", "key": "a", "value": "x"},
        {"operator": "present"},
    ],
)
def test_a_query_that_can_not_be_said_exactly_is_not_said_at_all(condition: Any) -> None:
    with pytest.raises(NotOurs, match="query: "):
        query_of({"query": [condition]})


def test_queries_may_be_ignored_if_that_is_said(command) -> None:
    file = DATA / "authelia_configuration.yml"
    config, _ = translated(command, "authelia", "--configuration", file, "--ignore-queries")
    assert verdict(config, f"{APP}/version") == "allow"
    assert verdict(config, f"{APP}/versions") == "sign_in"


def test_two_factors_there_are_not_met_by_codes_that_were_none_there(command, tmp_path: Path) -> None:
    file = tmp_path / "configuration.yml"
    file.write_text(
        "access_control: {default_policy: two_factor, rules: []}\nsession: {domain: example.com}\n"
    )
    config, _ = translated(command, "authelia", "--configuration", file)
    (route,) = config.routes
    assert route.policy.factors == ("totp", "webauthn")


# -- the others ----------------------------------------------------------------------------------------------------


def test_oauth2_proxys_file_becomes_routes_and_rules(command, stored) -> None:
    config, said = translated(
        command,
        "oauth2-proxy",
        "--cfg",
        DATA / "oauth2-proxy.cfg",
        "--htpasswd",
        DATA / "htpasswd",
        "--emails",
        DATA / "emails",
        "--apply",
    )
    ops = User("alice", groups=("ops",))  # of the htpasswd file, and in a group that may pass
    assert [route.path for route in config.routes] == ["/ready", "/only", "/api", "/"]
    assert config.routes[0].respond == Respond(status=202, body="Authenticated")
    for url, how, expected in (
        ("https://app.example.com/health", {}, "allow"),
        ("https://app.example.com/health", {"method": "POST"}, "sign_in"),
        ("https://app.example.com/healthy", {}, "sign_in"),
        ("https://app.example.com/assets/x", {}, "allow"),
        ("https://app.example.com/x/assets/", {}, "sign_in"),
        ("https://app.example.com/x", {"ip": "10.1.9.9"}, "allow"),
        ("https://app.example.com/x", {"who": ops}, "allow"),
        ("https://app.example.com/x", {"who": MAL}, "deny"),
        ("https://app.example.com/only", {"who": ops}, "allow"),
        ("https://app.example.com/only/more", {"who": ops}, "deny"),
        ("https://app.example.com/else", {"method": "POST"}, "sign_in"),
    ):
        assert verdict(config, url, **how) == expected, url
    for words in (
        "upstream file:///var/www",
        "POST!=^/upload",
        "email_domains",
        "banner: not read",
        "provider github",
    ):
        assert words in said
    assert (config.server.prefix, config.session.domain) == ("/oauth2", "example.com")
    alice = stored(lambda opened: opened.directory.authenticate("alice", PASSWORD))
    assert alice is not None
    assert alice.groups == ("locals",)
    carol = stored(lambda opened: opened.directory.get("carol@example.com"))
    assert (carol.email, carol.password_hash) == ("Carol@example.com", "")
    assert "not taken over" not in said


def test_oauth2_proxys_flags_are_read_as_its_shell_did(command) -> None:
    config, _ = translated(command, "oauth2-proxy", "--flags", DATA / "oauth2-proxy.flags")
    (route,) = config.routes
    assert (route.upstream, route.cors_preflight) == ("http://127.0.0.1:9000", True)
    assert verdict(config, "https://x.test/ping") == "allow"
    assert verdict(config, "https://x.test/free/beer") == "allow"
    assert verdict(config, "https://x.test/free/beer", "POST") == "sign_in"


def test_tinyauths_users_come_with_their_apps(command, stored) -> None:
    config, said = translated(command, "tinyauth", "--env-file", DATA / "tinyauth.env", "--apply")
    assert (config.server.public_url, config.session.domain) == (
        "https://tinyauth.example.com",
        "example.com",
    )
    for name in ("dave", "erin"):
        assert stored(lambda opened, name=name: opened.directory.authenticate(name, PASSWORD)) is not None
    (app,) = stored(lambda opened: opened.credentials.list("dave", "totp"))
    assert app.secret == SECRET.encode()
    assert "GITHUB_CLIENT_ID" in said
    assert "broken: not username" in said
    assert "not-taken-over" not in said


def test_htpasswd_brings_users_and_names_bad_lines(command, stored) -> None:
    result = command("htpasswd", DATA / "htpasswd", "--group", "staff", "--apply")
    assert result.exit_code == 1
    assert "1 users" in result.output
    assert "line 3" in result.stderr
    assert "line 4" in result.stderr  # DES
    alice = stored(lambda opened: opened.directory.authenticate("alice", PASSWORD))
    assert alice is not None
    assert alice.groups == ("staff",)


def test_the_configuration_can_be_written_to_a_file(command, tmp_path: Path) -> None:
    file = tmp_path / "imported.yaml"
    command("authelia", "--configuration", DATA / "authelia_configuration.yml", "--output", file)
    assert file.read_text().startswith("# Written by `auth-gateway import authelia`")
    assert read_text(file.read_text(), "imported.yaml", {}).config.rules


@pytest.mark.parametrize("arguments", [["authelia"], ["authelia", "--storage", DATA / "emails"]])
def test_missing_files_are_said_at_once(command, arguments: list[object]) -> None:
    assert command(*arguments).exit_code == 2


def test_what_is_not_a_configuration_is_said_in_a_line(command, tmp_path: Path) -> None:
    for text in ("[1, 2]", "a: [", "access_control: 1"):
        file = tmp_path / "x.yml"
        file.write_text(text)
        result = command("authelia", "--configuration", file)
        assert result.exit_code == 1
        assert result.stderr.startswith("auth-gateway: ")


def test_apps_come_from_postgresql_as_well(command, stored, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    with postgres_server() as server:
        url = create_database(server, "authelia")

        async def fill() -> None:
            connection = await asyncpg.connect(url)
            await connection.execute(
                "CREATE TABLE totp_configurations (id SERIAL, username VARCHAR(100), issuer VARCHAR(100),"
                " algorithm VARCHAR(6), digits INTEGER, period INTEGER, secret BYTEA)"
            )
            await connection.execute(
                "INSERT INTO totp_configurations (username, algorithm, digits, period, secret)"
                " VALUES ('john', 'SHA1', 6, 30, $1)",
                sealed(SECRET),
            )
            await connection.close()

        asyncio.run(fill())
        files = ("--users", DATA / "authelia_users.yml", "--encryption-key-file", tmp_path / "key")
        result = command("authelia", *files, "--storage-url", url, "--apply")
        gone = command("authelia", *files, "--storage-url", f"{server}/no_such_database")
    assert "1 authenticator apps imported" in result.output
    (app,) = stored(lambda opened: opened.credentials.list("john", "totp"))
    assert app.secret == SECRET.encode()
    assert "can't read Authelia's storage" in gone.stderr
