"""Importers never open more than the original did: each limit is said in our words, or the import stops."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli.importers.authelia import rules as translation
from gateway.cli.importers.authelia.original import AutheliaRules
from gateway.cli.importers.authelia.password_hashes import complete
from gateway.cli.importers.authelia.users_and_hosts import Options, read_configuration
from gateway.cli.importers.comparison import compare
from gateway.cli.importers.findings import as_yaml, users_of
from gateway.config.loader import read_text
from gateway.directory.password_hashing import is_supported
from gateway.model import User
from tests.import_rig import HASH, USERS, config_of
from tests.importers_rig import verdict

PORTAL = "session: {cookies: [{domain: example.com, authelia_url: 'https://auth.example.com'}]}\n"


def authelia(rules: str, default: str = "deny", more: str = "") -> str:
    return f"access_control: {{default_policy: {default}, rules: {rules}}}\n{PORTAL}{more}"


def test_a_name_in_capitals_is_the_same_user_in_rules_and_in_the_directory(importing) -> None:
    rules = """[{domain: pay.example.com, policy: deny, subject: 'user:John'},
                {domain: '*.example.com', policy: one_factor}]"""
    result = importing("authelia", configuration=authelia(rules), users=USERS)
    config = config_of(result)
    assert verdict(config, "https://pay.example.com/", who=User("john")) == "deny"
    assert verdict(config, "https://pay.example.com/", who=User("mal")) == "allow"


@pytest.mark.parametrize("domain", ["*", "*example.com", "a.*.example.com"])
def test_a_star_that_authelia_takes_for_a_letter_opens_nothing(importing, domain: str) -> None:
    result = importing("authelia", configuration=authelia(f"[{{domain: '{domain}', policy: bypass}}]"))
    assert verdict(config_of(result), "https://app.example.com/") == "deny"
    assert "never matched there" in result.stderr


def test_a_rule_for_a_star_and_a_real_host_keeps_the_host(importing) -> None:
    rules = "[{domain: ['*', app.example.com], policy: bypass}]"
    config = config_of(importing("authelia", configuration=authelia(rules)))
    assert verdict(config, "https://app.example.com/") == "allow"
    assert verdict(config, "https://other.example.com/") == "deny"


@pytest.mark.parametrize(
    ("session", "idle", "absolute"),
    [
        ("", 300, 3600),
        ("inactivity: 15m, expiration: 4 hours,", 900, 14400),
        ("inactivity: 1h30m, expiration: 90000,", 5400, 90000),
        ("inactivity: soon, expiration: 2h,", 300, 7200),
    ],
)
def test_sessions_last_no_longer_than_authelias(importing, session: str, idle: int, absolute: int) -> None:
    text = "access_control: {default_policy: deny, rules: []}\n"
    text += f"session: {{{session} cookies: [{{domain: example.com}}]}}\n"
    config = config_of(importing("authelia", configuration=text))
    assert (config.session.idle_timeout, config.session.absolute_timeout) == (idle, absolute)


@pytest.mark.parametrize(
    ("remember", "kept"), [("1 month", 30 * 86400.0), ("30m", 0.0), ("-1", 0.0), ("2y", 400 * 86400.0)]
)
def test_how_long_authelia_remembers_is_how_long_sessions_may_be_kept(
    importing, remember: str, kept: float
) -> None:
    text = "access_control: {default_policy: deny, rules: []}\n"
    text += f"session: {{remember_me: {remember}, cookies: [{{domain: example.com}}]}}\n"
    found = importing("authelia", configuration=text)
    assert config_of(found).session.keep_signed_in == kept
    assert ("session.remember_me" in found.stderr) is (kept == 0)


def test_a_host_pattern_that_says_any_name_below_a_domain_is_understood(importing) -> None:
    rules = "[{domain_regex: '^(.*)\\.example\\.com$', policy: one_factor}]"
    config = config_of(importing("authelia", configuration=authelia(rules)))
    assert verdict(config, "https://app.example.com/", who=User("john")) == "allow"
    assert verdict(config, "https://example.com.evil.test/", who=User("john")) == "deny"


def test_the_domain_of_the_session_is_folded(importing) -> None:
    text = authelia("[]").replace("domain: example.com", "domain: Example.com")
    assert config_of(importing("authelia", configuration=text)).session.domain == "example.com"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("authentication_backend: {ldap: {address: 'ldap://x'}}", "authentication_backend.ldap"),
        ("server: {address: 'tcp://:9091/authelia'}", "below /authelia"),
        ("server: {tls: {key: /k, certificate: /c}}", "server.tls"),
        ("totp: {algorithm: sha512}", "totp.algorithm"),
        ("definitions: {user_attributes: {x: {expression: 'true'}}}", "definitions.user_attributes"),
    ],
)
def test_what_is_not_taken_over_is_named(importing, more: str, said: str) -> None:
    assert said in importing("authelia", configuration=authelia("[]", more=more + "\n")).stderr


async def test_an_argon2_hash_that_leaves_out_parameters_is_read_as_authelias_library_does() -> None:
    bare = complete("$argon2id$v=19$m=64,p=1$c29tZXNhbHRzb21lc2FsdA$aGFzaGhhc2hoYXNoaGFzaA")
    assert bare == "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$aGFzaGhhc2hoYXNoaGFzaA"
    assert is_supported(bare)
    assert complete(HASH) == HASH
    assert complete("$2b$04$whatever") == "$2b$04$whatever"


HOSTS = ["app.example.com", "pay.example.com", "*.example.com", "*", "{user}.example.com", "App.example.com"]


RULE = st.fixed_dictionaries(
    {
        "domain": st.lists(st.sampled_from(HOSTS), min_size=1, max_size=2),
        "policy": st.sampled_from(["bypass", "one_factor", "two_factor", "deny"]),
    },
    optional={
        "resources": st.lists(
            st.sampled_from(["^/api/", "^/admin([/?].*)?$", "/x", "^/version$"]), min_size=1
        ),
        "methods": st.lists(st.sampled_from(["GET", "POST"]), min_size=1),
        "networks": st.just(["10.0.0.0/8"]),
        "subject": st.lists(
            st.lists(
                st.sampled_from(["user:John", "user:mal", "group:ops", "group:dev"]), min_size=1, max_size=2
            ),
            min_size=1,
            max_size=2,
        ),
        "query": st.just([[{"key": "token"}]]),
    },
)


@settings(max_examples=40, deadline=None)
@given(rules=st.lists(RULE, max_size=4), default=st.sampled_from(["deny", "one_factor", "two_factor"]))
def test_no_list_of_authelias_rules_becomes_looser(rules: list[dict[str, object]], default: str) -> None:
    rules = [  # Authelia refuses these itself: who is asked for can't be let in unseen
        {key: value for key, value in rule.items() if key != "subject" or rule["policy"] != "bypass"}
        for rule in rules
    ]
    text = yaml.safe_dump(
        {
            "access_control": {"default_policy": default, "rules": rules},
            "session": {"cookies": [{"domain": "example.com", "authelia_url": "https://auth.example.com"}]},
        }
    )
    found = read_configuration(text, Options())
    config = read_text(as_yaml(found, "authelia"), "imported.yaml", {}).config
    people = [User("john", groups=("ops", "dev")), User("mal"), User("eve", groups=("dev",))]
    assert isinstance(found.original, AutheliaRules)
    assert [row for row in compare(found.original, config, [*users_of(found), *people]) if row.looser] == []


def test_a_table_of_who_could_pass_before_and_who_can_now_ends_the_import(importing) -> None:
    rules = """[{domain: app.example.com, policy: one_factor},
                {domain: api.example.com, resources: ['^/v$'], policy: bypass}]"""
    result = importing("authelia", configuration=authelia(rules), users=USERS)
    table = result.stderr.partition("who could pass before, and who can now:\n")[2]
    assert "GET app.example.com/: john, mal, anybody-else: with one factor" in table
    assert (
        "GET api.example.com/v: strangers, john, mal, anybody-else: without signing in -> no  [stricter]"
        in table
    )
    assert ", 0 looser" in table


def test_a_dry_run_needs_no_configuration(importing, tmp_path: Path) -> None:
    result = importing("authelia", "--output", tmp_path / "x.yaml", configuration=authelia("[]"), users=USERS)
    assert result.exit_code == 0
    assert "2 users and 0 authenticator apps would be imported" in result.output
    assert not (tmp_path / "var").exists()


def test_a_translation_that_opened_more_would_be_noticed_and_not_written(
    importing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison is the last guard: here the translation is made wrong on purpose."""
    monkeypatch.setattr(translation, "_names", lambda subject, kind, problems: [])
    rules = "[{domain: app.example.com, policy: one_factor, subject: 'user:john'}]"
    result = importing(
        "authelia", "--output", tmp_path / "x.yaml", configuration=authelia(rules), users=USERS
    )
    assert result.exit_code == 3
    assert "stops here: rules[0]" in result.stderr
    assert not (tmp_path / "x.yaml").exists()


def test_hashes_of_the_imported_are_still_checked_for_what_they_cost() -> None:
    assert not is_supported(complete("$argon2id$v=19$m=99999999,p=1$c29tZXNhbHQ$aGFzaGhhc2g"))
