"""Users, second factors and rules of other gateways: taken over whole, or named with the reason; never looser."""

import asyncio
import json
import os
import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import asyncpg
import pyotp
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.config.loader import read_text
from gateway.config.sections.answers import Respond
from gateway.model import User
from tests.importers_rig import DATA, translated, verdict
from tests.services import create_database, postgres_server
from tests.unit.cli.test_importers_rules import MAL

T = TypeVar("T")
PASSWORD = "correct horse battery"
KEY = "a passphrase of at least twenty characters"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


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


def test_nothing_changes_until_apply_is_said(take_over, stored, storage: Path) -> None:
    result = take_over(*of_authelia(storage))
    assert "3 users and 1 authenticator apps would be imported" in result.output
    assert stored(lambda opened: opened.directory.list(limit=9)) == []
    assert stored(lambda opened: opened.credentials.list("john")) == []


def test_authelias_users_sign_in_with_their_password_and_app(take_over, stored, storage: Path) -> None:
    result = take_over(*of_authelia(storage, "--apply"))
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


def test_what_is_left_out_is_named_with_its_reason(take_over, storage: Path) -> None:
    result = take_over(*of_authelia(storage))
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


def test_importing_again_changes_nothing(take_over, stored, storage: Path) -> None:
    take_over(*of_authelia(storage, "--apply"))
    again = take_over(*of_authelia(storage, "--apply"))
    assert "0 users and 0 authenticator apps imported" in again.output
    assert "there is a user john already" in again.stderr
    assert "this user has one already" in again.stderr
    assert len(stored(lambda opened: opened.credentials.list("john", "totp"))) == 1


def test_an_import_is_audited_without_secrets(take_over, stored, storage: Path) -> None:
    take_over(*of_authelia(storage, "--apply"))
    (row,) = stored(lambda opened: opened.audit.tail(10, event="users_imported"))
    assert (row.data["count"], row.data["apps"], row.data["source"]) == (3, 1, "authelia")
    assert SECRET not in json.dumps(row.data)


def test_the_wrong_key_or_file_is_said_and_nothing_is_stored(take_over, stored, storage: Path) -> None:
    (storage.parent / "key").write_text("another passphrase of twenty characters")
    wrong = take_over(*of_authelia(storage, "--apply"))
    assert wrong.exit_code == 1
    assert "not the encryption key" in wrong.stderr
    storage.write_bytes(b"no database at all, but long enough to be read as one")
    assert "is not Authelia's storage" in take_over(*of_authelia(storage, "--apply")).stderr
    assert stored(lambda opened: opened.directory.list(limit=9)) == []


def test_oauth2_proxys_file_becomes_routes_and_rules(take_over, stored) -> None:
    config, said = translated(
        take_over,
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


def test_oauth2_proxys_flags_are_read_as_its_shell_did(take_over) -> None:
    config, _ = translated(take_over, "oauth2-proxy", "--flags", DATA / "oauth2-proxy.flags")
    (route,) = config.routes
    assert (route.upstream, route.cors_preflight) == ("http://127.0.0.1:9000", True)
    assert verdict(config, "https://x.test/ping") == "allow"
    assert verdict(config, "https://x.test/free/beer") == "allow"
    assert verdict(config, "https://x.test/free/beer", "POST") == "sign_in"


def test_tinyauths_users_come_with_their_apps(take_over, stored) -> None:
    config, said = translated(take_over, "tinyauth", "--env-file", DATA / "tinyauth.env", "--apply")
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


def test_htpasswd_brings_users_and_names_bad_lines(take_over, stored) -> None:
    result = take_over("htpasswd", DATA / "htpasswd", "--group", "staff", "--apply")
    assert result.exit_code == 1
    assert "1 users" in result.output
    assert "line 3" in result.stderr
    assert "line 4" in result.stderr  # DES
    alice = stored(lambda opened: opened.directory.authenticate("alice", PASSWORD))
    assert alice is not None
    assert alice.groups == ("staff",)


def test_the_configuration_can_be_written_to_a_file(take_over, tmp_path: Path) -> None:
    file = tmp_path / "imported.yaml"
    take_over("authelia", "--configuration", DATA / "authelia_configuration.yml", "--output", file)
    assert file.read_text().startswith("# Written by `auth-gateway import authelia`")
    assert read_text(file.read_text(), "imported.yaml", {}).config.rules


@pytest.mark.parametrize("arguments", [["authelia"], ["authelia", "--storage", DATA / "emails"]])
def test_missing_files_are_said_at_once(take_over, arguments: list[object]) -> None:
    assert take_over(*arguments).exit_code == 2


def test_what_is_not_a_configuration_is_said_in_a_line(take_over, tmp_path: Path) -> None:
    for text in ("[1, 2]", "a: [", "access_control: 1"):
        file = tmp_path / "x.yml"
        file.write_text(text)
        result = take_over("authelia", "--configuration", file)
        assert result.exit_code == 1
        assert result.stderr.startswith("auth-gateway: ")


def test_apps_come_from_postgresql_as_well(take_over, stored, tmp_path: Path) -> None:
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
        result = take_over("authelia", *files, "--storage-url", url, "--apply")
        gone = take_over("authelia", *files, "--storage-url", f"{server}/no_such_database")
    assert "1 authenticator apps imported" in result.output
    (app,) = stored(lambda opened: opened.credentials.list("john", "totp"))
    assert app.secret == SECRET.encode()
    assert "can't read Authelia's storage" in gone.stderr
