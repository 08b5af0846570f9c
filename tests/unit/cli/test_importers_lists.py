"""Who may sign in at oauth2-proxy, tinyauth and Vouch: lists, groups and domains, and what can't be said here."""

from pathlib import Path

import pytest

from gateway.cli.importers.environment import read_environment
from gateway.cli.importers.oauth2_proxy.options import read_options
from gateway.errors import GatewayError
from gateway.model import User
from tests.import_rig import config_of
from tests.importers_rig import verdict

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
    importing, limit: str, tmp_path: Path
) -> None:
    result = importing("oauth2-proxy", "--output", tmp_path / "imported.yaml", cfg=PROXY + limit)
    assert result.exit_code == 3
    stops = [line for line in result.stderr.splitlines() if line.startswith("stops here: ")]
    assert stops, "the limit is named"
    assert not any("opens to" in line for line in stops), "what follows from the limit asks for nothing more"
    assert result.stderr.splitlines()[-1].endswith("mend what the lines above name, then import again")
    assert not (tmp_path / "imported.yaml").exists()


def test_a_group_of_ours_may_stand_in_for_what_can_not_be_said(importing) -> None:
    limit = 'email_domains = ["*"]\ngithub_org = "acme"\nallowed_groups = ["dev"]'
    result = importing("oauth2-proxy", "--only-group", "acme-people", cfg=PROXY + limit)
    config = config_of(result)
    assert verdict(config, "https://x.test/", who=User("a", groups=("dev",))) == "deny"
    assert verdict(config, "https://x.test/", who=User("a", groups=("acme-people",))) == "allow"
    assert "put those who may pass into group `acme-people`" in result.stderr


def test_only_those_on_the_list_of_addresses_and_in_the_htpasswd_file_may_pass(importing) -> None:
    result = importing(
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
def test_what_oauth2_proxy_was_told_is_translated_or_named(importing, more: str, said: str) -> None:
    assert said in importing("oauth2-proxy", cfg=PROXY + 'email_domains = ["*"]\n' + more).stderr


def test_an_address_that_is_not_known_is_asked_for(importing) -> None:
    result = importing("oauth2-proxy", cfg='upstreams = ["http://127.0.0.1:8080/"]\nemail_domains = ["*"]')
    assert "server.public_url is http://localhost:8080" in result.stderr


def test_flags_are_read_as_compose_files_and_kubernetes_list_them() -> None:
    listed = "args:\n  - --upstream=http://a:1/\n  - --email-domain=*\n  - '--skip-auth-route=GET=^/x$'\n"
    assert read_options(flags=listed) == read_options(
        flags="--upstream=http://a:1/ --email-domain='*' --skip-auth-route='GET=^/x$'"
    )
    with pytest.raises(GatewayError, match="no flag"):
        read_options(flags="upstream: a\nemail: b")


def test_the_alpha_configuration_is_named_as_what_it_is(importing) -> None:
    result = importing("oauth2-proxy", cfg="upstreamConfig: {upstreams: []}\nproviders: []\n")
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


@pytest.mark.parametrize(
    "limit",
    [
        "TINYAUTH_APPS_WIKI_USERS_ALLOW=dave",
        "OAUTH_WHITELIST=a@b.test",
        "TINYAUTH_APPS_WIKI_IP_ALLOW=10.0.0.1",
    ],
)
def test_a_limit_of_an_app_of_tinyauths_stops_the_import(importing, limit: str) -> None:
    user = "USERS=dave:$2b$04$pGYsMa7Zv.ETu6q17U/A0u.H5ioqIzRYRPLu2yfGqCEcosdwm/7P."
    result = importing("tinyauth", env_file=f"APP_URL=https://t.example.com\n{user}\n{limit}\n")
    assert result.exit_code == 3
    assert f"stops here: {limit.partition('=')[0]}" in result.stderr


VOUCH = "vouch:\n  port: 9090\n  cookie: {domain: example.com}\n  jwt: {maxAge: 30}\n"


def test_vouchs_list_of_users_becomes_a_policy(importing) -> None:
    result = importing(
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
def test_vouchs_teams_and_mail_domains_stop_the_import_or_are_a_group_here(importing, limit: str) -> None:
    assert importing("vouch", configuration=f"{VOUCH}  {limit}\n").exit_code == 3
    config = config_of(importing("vouch", "--only-group", "ours", configuration=f"{VOUCH}  {limit}\n"))
    assert verdict(config, "https://app.example.com/", who=User("mal")) == "deny"
    assert verdict(config, "https://app.example.com/", who=User("bob", groups=("ours",))) == "allow"


def test_public_access_of_vouch_lets_everybody_in_as_it_did(importing) -> None:
    config = config_of(importing("vouch", configuration=VOUCH + "  publicAccess: true\n"))
    assert verdict(config, "https://app.example.com/") == "allow"
