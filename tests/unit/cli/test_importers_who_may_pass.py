"""Importers never open more than the original did: each limit is said in our words, or the import stops."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli import main
from gateway.cli.importers.authelia import rules as translation
from gateway.cli.importers.authelia.original import AutheliaRules
from gateway.cli.importers.authelia.password_hashes import complete
from gateway.cli.importers.authelia.users_and_hosts import Options, read_configuration
from gateway.cli.importers.comparison import compare
from gateway.cli.importers.environment import read_environment
from gateway.cli.importers.findings import as_yaml, users_of
from gateway.cli.importers.oauth2_proxy.options import read_options
from gateway.cli.importers.pomerium.routes import read_configuration as read_pomerium
from gateway.config.loader import read_text
from gateway.directory.password_hashing import is_supported
from gateway.errors import GatewayError
from gateway.model import User
from tests.unit.cli.test_importers import verdict

PORTAL = "session: {cookies: [{domain: example.com, authelia_url: 'https://auth.example.com'}]}\n"
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$bWFkZSB1cCwgbmV2ZXIgdmVyaWZpZWQgaGVyZSEh"
USERS = f"users: {{John: {{password: '{HASH}'}}, mal: {{password: '{HASH}'}}}}\n"


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `import` in a folder without config.yaml: telling what would happen needs none."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: object, **files: str) -> Result:
        given = [word for name, text in files.items() for word in (f"--{name.replace('_', '-')}", text)]
        for number, word in enumerate(given):
            if number % 2:
                file = tmp_path / f"input{number}"
                file.write_text(word)
                given[number] = str(file)
        result = CliRunner().invoke(main, ["import", *map(str, arguments), *given])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return invoke


def config_of(result: Result):
    return read_text(result.stdout, "imported.yaml", {}).config


def authelia(rules: str, default: str = "deny", more: str = "") -> str:
    return f"access_control: {{default_policy: {default}, rules: {rules}}}\n{PORTAL}{more}"


# -- Authelia ------------------------------------------------------------------------------------------------------


def test_a_name_in_capitals_is_the_same_user_in_rules_and_in_the_directory(command) -> None:
    rules = """[{domain: pay.example.com, policy: deny, subject: 'user:John'},
                {domain: '*.example.com', policy: one_factor}]"""
    result = command("authelia", configuration=authelia(rules), users=USERS)
    config = config_of(result)
    assert verdict(config, "https://pay.example.com/", who=User("john")) == "deny"
    assert verdict(config, "https://pay.example.com/", who=User("mal")) == "allow"


@pytest.mark.parametrize("domain", ["*", "*example.com", "a.*.example.com"])
def test_a_star_that_authelia_takes_for_a_letter_opens_nothing(command, domain: str) -> None:
    result = command("authelia", configuration=authelia(f"[{{domain: '{domain}', policy: bypass}}]"))
    assert verdict(config_of(result), "https://app.example.com/") == "deny"
    assert "never matched there" in result.stderr


def test_a_rule_for_a_star_and_a_real_host_keeps_the_host(command) -> None:
    rules = "[{domain: ['*', app.example.com], policy: bypass}]"
    config = config_of(command("authelia", configuration=authelia(rules)))
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
def test_sessions_last_no_longer_than_authelias(command, session: str, idle: int, absolute: int) -> None:
    text = "access_control: {default_policy: deny, rules: []}\n"
    text += f"session: {{{session} cookies: [{{domain: example.com}}]}}\n"
    config = config_of(command("authelia", configuration=text))
    assert (config.session.idle_timeout, config.session.absolute_timeout) == (idle, absolute)


def test_a_host_pattern_that_says_any_name_below_a_domain_is_understood(command) -> None:
    rules = "[{domain_regex: '^(.*)\\.example\\.com$', policy: one_factor}]"
    config = config_of(command("authelia", configuration=authelia(rules)))
    assert verdict(config, "https://app.example.com/", who=User("john")) == "allow"
    assert verdict(config, "https://example.com.evil.test/", who=User("john")) == "deny"


def test_the_domain_of_the_session_is_folded(command) -> None:
    text = authelia("[]").replace("domain: example.com", "domain: Example.com")
    assert config_of(command("authelia", configuration=text)).session.domain == "example.com"


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
def test_what_is_not_taken_over_is_named(command, more: str, said: str) -> None:
    assert said in command("authelia", configuration=authelia("[]", more=more + "\n")).stderr


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


# -- oauth2-proxy --------------------------------------------------------------------------------------------------

PROXY = """
redirect_url = "https://app.example.com/oauth2/callback"
upstreams = ["http://127.0.0.1:8080/"]
"""


@pytest.mark.parametrize(
    "limit",
    [
        'email_domains = ["*"]\ngithub_org = "acme"',
        'email_domains = ["*"]\ngoogle_groups = ["ops@example.com"]',
        'email_domains = ["*"]\nallowed_roles = ["admin"]',
        'email_domains = ["example.com"]',
        'authenticated_emails_file = "/etc/emails"',
    ],
)
def test_a_limit_on_who_may_pass_that_can_not_be_said_stops_the_import(
    command, limit: str, tmp_path: Path
) -> None:
    result = command("oauth2-proxy", "--output", tmp_path / "imported.yaml", cfg=PROXY + limit)
    assert result.exit_code == 3
    assert "stops here: " in result.stderr
    assert not (tmp_path / "imported.yaml").exists()


def test_a_group_of_ours_may_stand_in_for_what_can_not_be_said(command) -> None:
    limit = 'email_domains = ["*"]\ngithub_org = "acme"\nallowed_groups = ["dev"]'
    result = command("oauth2-proxy", "--only-group", "acme-people", cfg=PROXY + limit)
    config = config_of(result)
    assert verdict(config, "https://x.test/", who=User("a", groups=("dev",))) == "deny"
    assert verdict(config, "https://x.test/", who=User("a", groups=("acme-people",))) == "allow"
    assert "put those who may pass into group `acme-people`" in result.stderr


def test_only_those_on_the_list_of_addresses_and_in_the_htpasswd_file_may_pass(command) -> None:
    result = command(
        "oauth2-proxy",
        cfg=PROXY + 'authenticated_emails_file = "/etc/emails"',
        emails="Carol@example.com\n",
        htpasswd="dave:$2b$04$pGYsMa7Zv.ETu6q17U/A0u.H5ioqIzRYRPLu2yfGqCEcosdwm/7P.\n",
    )
    config = config_of(result)
    for name, expected in (("carol@example.com", "allow"), ("dave", "allow"), ("mal", "deny")):
        assert verdict(config, "https://x.test/", who=User(name)) == expected
    assert "0 looser" in result.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('cookie_domains = [".a.test", ".b.test"]', "cookie_domains: b.test"),
        ('whitelist_domains = [".a.test"]', "whitelist_domains: "),
        ('htpasswd_file = "/x"', "htpasswd_file: give the file"),
        ('api_routes = ["^/api"]', "api_routes: "),
    ],
)
def test_what_oauth2_proxy_was_told_is_translated_or_named(command, more: str, said: str) -> None:
    assert said in command("oauth2-proxy", cfg=PROXY + 'email_domains = ["*"]\n' + more).stderr


def test_an_address_that_is_not_known_is_asked_for(command) -> None:
    result = command("oauth2-proxy", cfg='upstreams = ["http://127.0.0.1:8080/"]\nemail_domains = ["*"]')
    assert "server.public_url is http://localhost:8080" in result.stderr


def test_flags_are_read_as_compose_files_and_kubernetes_list_them() -> None:
    listed = "args:\n  - --upstream=http://a:1/\n  - --email-domain=*\n  - '--skip-auth-route=GET=^/x$'\n"
    assert read_options(flags=listed) == read_options(
        flags="--upstream=http://a:1/ --email-domain='*' --skip-auth-route='GET=^/x$'"
    )
    with pytest.raises(GatewayError, match="no flag"):
        read_options(flags="upstream: a\nemail: b")


def test_the_alpha_configuration_is_named_as_what_it_is(command) -> None:
    result = command("oauth2-proxy", cfg="upstreamConfig: {upstreams: []}\nproviders: []\n")
    assert result.exit_code == 1
    assert "alpha configuration" in result.stderr


@pytest.mark.parametrize(
    "text",
    [
        "A=1\nB='x y'\n",
        "export A=1\n- B=x y\n",
        "A: 1\nB: x y\n",
        "environment:\n  A: '1'\n  B: x y\n",
        "services:\n  app:\n    image: x\n    environment:\n      - A=1\n      - B=x y\n",
    ],
)
def test_variables_are_read_in_every_form_that_containers_take(text: str) -> None:
    assert read_environment(text) == {"A": "1", "B": "x y"}


def test_what_is_no_variable_is_not_skipped_without_a_word() -> None:
    with pytest.raises(GatewayError, match="line 2"):
        read_environment("A=1\nnonsense here\n")


# -- TinyAuth ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limit",
    [
        "TINYAUTH_APPS_WIKI_USERS_ALLOW=dave",
        "OAUTH_WHITELIST=a@b.test",
        "TINYAUTH_APPS_WIKI_IP_ALLOW=10.0.0.1",
    ],
)
def test_a_limit_of_an_app_of_tinyauths_stops_the_import(command, limit: str) -> None:
    user = "USERS=dave:$2b$04$pGYsMa7Zv.ETu6q17U/A0u.H5ioqIzRYRPLu2yfGqCEcosdwm/7P."
    result = command("tinyauth", env_file=f"APP_URL=https://t.example.com\n{user}\n{limit}\n")
    assert result.exit_code == 3
    assert f"stops here: {limit.partition('=')[0]}" in result.stderr


# -- Vouch ---------------------------------------------------------------------------------------------------------

VOUCH = "vouch:\n  port: 9090\n  cookie: {domain: example.com}\n  jwt: {maxAge: 30}\n"


def test_vouchs_list_of_users_becomes_a_policy(command) -> None:
    result = command(
        "vouch", configuration=VOUCH + "  whiteList: [Bob@example.com]\noauth: {provider: google}\n"
    )
    config = config_of(result)
    assert verdict(config, "https://app.example.com/", who=User("bob@example.com")) == "allow"
    assert verdict(config, "https://app.example.com/", who=User("mal")) == "deny"
    assert verdict(config, "https://app.example.com/") == "sign_in"
    assert (config.session.domain, config.session.absolute_timeout) == ("example.com", 1800)
    assert config.forward.compatible == ("vouch",)
    assert "0 looser" in result.stderr


@pytest.mark.parametrize("limit", ["teamWhitelist: [acme/ops]", "domains: [example.com]"])
def test_vouchs_teams_and_mail_domains_stop_the_import_or_are_a_group_here(command, limit: str) -> None:
    assert command("vouch", configuration=f"{VOUCH}  {limit}\n").exit_code == 3
    config = config_of(command("vouch", "--only-group", "ours", configuration=f"{VOUCH}  {limit}\n"))
    assert verdict(config, "https://app.example.com/", who=User("mal")) == "deny"
    assert verdict(config, "https://app.example.com/", who=User("bob", groups=("ours",))) == "allow"


def test_public_access_of_vouch_lets_everybody_in_as_it_did(command) -> None:
    config = config_of(command("vouch", configuration=VOUCH + "  publicAccess: true\n"))
    assert verdict(config, "https://app.example.com/") == "allow"


# -- Pomerium ------------------------------------------------------------------------------------------------------


def pomerium(routes: str) -> str:
    return f"authenticate_service_url: https://auth.example.com\nroutes: {routes}\n"


CAROL, OPS, MAL = User("carol@example.com"), User("o", groups=("ops",)), User("mal")


def test_pomeriums_routes_and_users_come_along(command) -> None:
    routes = """[{from: 'https://app.example.com', to: 'http://10.0.0.2:80', allowed_users: [Carol@example.com]},
      {from: 'https://app.example.com', to: ['http://10.0.0.3:80,1', 'http://10.0.0.4:80'], prefix: /pub,
       allow_public_unauthenticated_access: true},
      {from: 'https://wiki.example.com', to: 'http://10.0.0.5', policy: [{allow: {or: [{groups: {has: ops}}]}}]}]"""
    result = command("pomerium", configuration=pomerium(routes))
    config = config_of(result)
    assert verdict(config, "https://app.example.com/", who=CAROL) == "allow"
    assert verdict(config, "https://app.example.com/", who=MAL) == "deny"
    assert verdict(config, "https://app.example.com/pub/x") == "allow"
    assert verdict(config, "https://wiki.example.com/", who=OPS) == "allow"
    assert verdict(config, "https://wiki.example.com/", who=MAL) == "deny"
    assert ", 0 looser" in result.stderr


@pytest.mark.parametrize(
    "policy",
    [
        "allowed_domains: [example.com]",
        "policy: [{allow: {and: [{domain: {is: example.com}}, {groups: {has: ops}}]}}]",
        "policy: [{allow: {not: [{email: {is: mal}}]}}]",
        "policy: [{allow: {or: [{claim/roles: admin}]}}]",
        "policy: [{allow: {or: [{email: {ends_with: '@example.com'}}]}}]",
        "policy: [{allow: {or: [{authenticated_user: true}]}, deny: {or: [{device: {is: x}}]}}]",
    ],
)
def test_a_policy_of_pomeriums_that_can_not_be_said_lets_nobody_in(command, policy: str) -> None:
    routes = f"[{{from: 'https://app.example.com', to: 'http://10.0.0.2:80', {policy}}}]"
    result = command("pomerium", configuration=pomerium(routes))
    for who in (CAROL, OPS, MAL):
        assert verdict(config_of(result), "https://app.example.com/", who=who) == "deny"
    assert "what it opened is denied" in result.stderr


def test_a_denial_of_pomeriums_counts_before_every_permission(command) -> None:
    policy = "policy: [{allow: {or: [{authenticated_user: true}]}}, {deny: {or: [{email: {is: mal}}]}}]"
    routes = f"[{{from: 'https://app.example.com', to: 'http://10.0.0.2:80', {policy}}}]"
    config = config_of(command("pomerium", configuration=pomerium(routes)))
    assert verdict(config, "https://app.example.com/", who=MAL) == "deny"
    assert verdict(config, "https://app.example.com/", who=CAROL) == "allow"


CRITERION = st.sampled_from(
    [
        {"accept": True},
        {"authenticated_user": True},
        {"email": {"is": "Carol@example.com"}},
        {"groups": {"has": "ops"}},
        {"domain": {"is": "example.com"}},
        {"http_method": {"is": "GET"}},
        {"source_ip": "10.0.0.0/8"},
        {"claim/x": "y"},
    ]
)
BODY = st.dictionaries(
    st.sampled_from(["or", "and", "not"]), st.lists(CRITERION, min_size=1, max_size=3), min_size=1, max_size=2
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["allow", "deny"]), BODY, min_size=1), max_size=3))
def test_no_policy_of_pomeriums_becomes_looser(policy: list[dict[str, object]]) -> None:
    route = {"from": "https://app.example.com", "to": "http://10.0.0.2:80", "policy": policy}
    found = read_pomerium(yaml.safe_dump({"routes": [route]}))
    config = read_text(as_yaml(found, "pomerium"), "imported.yaml", {}).config
    assert found.original is not None
    people = [User("carol@example.com", email="carol@example.com"), OPS, MAL]
    assert [row for row in compare(found.original, config, people) if row.looser] == []


# -- all of them ---------------------------------------------------------------------------------------------------


def test_a_table_of_who_could_pass_before_and_who_can_now_ends_the_import(command) -> None:
    rules = """[{domain: app.example.com, policy: one_factor},
                {domain: api.example.com, resources: ['^/v$'], policy: bypass}]"""
    result = command("authelia", configuration=authelia(rules), users=USERS)
    table = result.stderr.partition("who could pass before, and who can now:\n")[2]
    assert "GET app.example.com/: john, mal, anybody-else: with one factor" in table
    assert (
        "GET api.example.com/v: strangers, john, mal, anybody-else: without signing in -> no  [stricter]"
        in table
    )
    assert ", 0 looser" in table


def test_a_dry_run_needs_no_configuration(command, tmp_path: Path) -> None:
    result = command("authelia", "--output", tmp_path / "x.yaml", configuration=authelia("[]"), users=USERS)
    assert result.exit_code == 0
    assert "2 users and 0 authenticator apps would be imported" in result.output
    assert not (tmp_path / "var").exists()


def test_a_translation_that_opened_more_would_be_noticed_and_not_written(
    command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison is the last guard: here the translation is made wrong on purpose."""
    monkeypatch.setattr(translation, "_names", lambda subject, kind, problems: [])
    rules = "[{domain: app.example.com, policy: one_factor, subject: 'user:john'}]"
    result = command("authelia", "--output", tmp_path / "x.yaml", configuration=authelia(rules), users=USERS)
    assert result.exit_code == 3
    assert "stops here: rules[0]" in result.stderr
    assert not (tmp_path / "x.yaml").exists()


def test_hashes_of_the_imported_are_still_checked_for_what_they_cost() -> None:
    assert not is_supported(complete("$argon2id$v=19$m=99999999,p=1$c29tZXNhbHQ$aGFzaGhhc2g"))
