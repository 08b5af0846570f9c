import logging
import os
from pathlib import Path

import pytest

from gateway.config.loader import Loaded, load, read, read_text
from gateway.config.schema import Config, EmailSmtp, SmsTwilio, SmsWebhook
from gateway.config.yaml_document import parse
from gateway.errors import ConfigError

ROOT = Path(__file__).parents[3]
ROUTE = 'routes: [{upstream: "http://127.0.0.1:9000"}]\n'
TWILIO = """
sms:
  provider: twilio
  account_sid: AC00000000000000000000000000000000
  from: "+15005550006"
"""
SMTP = "email: {provider: smtp, host: localhost, from: a@example.com, username: u, "


def loaded(text: str, **environ: str) -> Loaded:
    return read_text(text, "config.yaml", environ)


def problems(text: str, **environ: str) -> list[tuple[int, str, str]]:
    with pytest.raises(ConfigError) as caught:
        loaded(text, **environ)
    return [(mistake.line, mistake.key, mistake.problem) for mistake in caught.value.mistakes]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text("  hunter2\n")
    file.chmod(0o600)
    return file


def test_an_empty_file_is_the_default_configuration() -> None:
    assert (
        loaded("").config.model_dump() == Config().model_dump()
    )  # all keys; where a file has them is no part of it


@pytest.mark.parametrize("file", [ROOT / "config.yaml", *ROOT.glob("deploy/**/gateway*.yaml")], ids=str)
def test_the_shipped_configurations_load(file: Path) -> None:
    assert read(file, {}).config.routes


def test_a_missing_file_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        load(tmp_path / "absent.yaml", {})


def test_a_file_that_is_not_text_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "c.yaml", {})


def test_variables_are_replaced_in_texts() -> None:
    text = 'branding: {name: "${WHO}-${WHAT:-login}", support: "$$5 and ${EMPTY:-nothing}"}'
    branding = loaded(text, WHO="acme", EMPTY="").config.branding
    assert (branding.name, branding.support) == ("acme-login", "$5 and nothing")


def test_what_a_variable_holds_is_not_expanded_again() -> None:
    assert loaded('branding: {name: "${A}"}', A="${B} $$").config.branding.name == "${B} $$"


def test_a_variable_may_give_a_number_or_a_truth_value() -> None:
    config = loaded(
        SMTP + "password: x, port: '${PORT}'}\nlog: {access: '${ACCESS}'}", PORT="25", ACCESS="false"
    ).config
    assert isinstance(config.email, EmailSmtp)
    assert (config.email.port, config.log.access) == (25, False)


def test_a_secret_variable_that_looks_like_a_number_stays_text() -> None:
    config = loaded(SMTP + "password: '${P}'}", P="0123").config
    assert isinstance(config.email, EmailSmtp)
    assert config.email.password is not None
    assert config.email.password.get_secret_value() == "0123"


def test_a_secret_is_read_from_its_file_without_white_space(secret: Path) -> None:
    config = loaded(f"{TWILIO}  auth_token_file: {secret}").config
    assert isinstance(config.sms, SmsTwilio)
    assert config.sms.auth_token.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(config)
    assert "***" in repr(config)


def test_headers_of_a_webhook_may_come_from_files(secret: Path) -> None:
    text = (
        f'sms: {{provider: webhook, url: "https://h/", headers: {{Authorization_file: "{secret}", X-A: b}}}}'
    )
    sms = loaded(text).config.sms
    assert isinstance(sms, SmsWebhook)
    assert {name: value.get_secret_value() for name, value in sms.headers.items()} == {
        "Authorization": "hunter2",
        "X-A": "b",
    }


def test_a_database_url_may_come_from_a_file_and_is_not_in_the_repr(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://u:hunter2@db/gateway\n")
    config = loaded(f"storage: {{url_file: {file}}}").config
    assert config.storage.url == "postgresql://u:hunter2@db/gateway"
    assert "hunter2" not in repr(config)


def test_a_secret_file_that_everyone_can_read_is_a_warning(
    secret: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(f"{TWILIO}  auth_token_file: {secret}")
    assert not read(file, {}).warnings
    secret.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        load(file, {})
    assert "everyone on this machine can read" in caplog.text
    assert "hunter2" not in caplog.text


def test_trusting_every_proxy_is_a_warning() -> None:
    (warning,) = loaded('server: {trusted_proxies: ["0.0.0.0/0"]}').warnings
    assert (warning.key, warning.line) == ("server.trusted_proxies[0]", 1)


def test_https_that_nothing_here_serves_needs_a_proxy_to_believe() -> None:
    public = 'public_url: "https://login.example.com"'
    (warning,) = loaded(f"server: {{{public}}}").warnings
    assert (warning.key, warning.line) == ("server.trusted_proxies", 1)
    assert "[10.0.0.0/8]" in warning.mend
    assert not loaded(f"server: {{{public}, trusted_proxies: [10.0.0.0/8]}}").warnings
    assert not loaded(f'server: {{{public}, listen: "unix:/run/gateway.sock"}}').warnings


def test_plain_http_beyond_localhost_must_be_loosened_explicitly() -> None:
    strict = 'server: {public_url: "http://login.example.com"'
    assert problems(strict + "}")[0][1] == "server.public_url"
    assert loaded(strict + ", allow_plain_http: true}").config.server.allow_plain_http


def test_bare_words_follow_yaml_1_2() -> None:
    text = "sms: {provider: console, allowed_countries: [NO, DE]}\nbranding: {name: on, support: 12:30}"
    config = loaded(text).config
    assert config.sms.allowed_countries == ("NO", "DE")
    assert (config.branding.name, config.branding.support) == ("on", "12:30")


def test_anchors_are_shared_and_may_be_overridden_with_their_own_lines() -> None:
    text = """routes:
  - &app {path: /a, upstream: "http://127.0.0.1:9000"}
  - <<: *app
    path: /b
  - <<: *app
    path: c
"""
    assert problems(text) == [
        (6, "routes[2].path", "`c` is not a path that starts with a slash, such as `/` or `/app`")
    ]
    routes = loaded(text.replace("path: c", "path: /c")).config.routes
    assert [route.path for route in routes] == ["/a", "/b", "/c"]
    assert {route.upstream for route in routes} == {"http://127.0.0.1:9000"}


def test_anchors_that_multiply_without_end_are_a_mistake() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert any("never ends" in problem for _, _, problem in problems("\n".join(lines)))


def test_a_large_file_without_anchors_has_an_end() -> None:
    text = "".join(f"key{number}: [a, b, c, d]\n" for number in range(11_000))
    assert parse(text, "large.yaml").mistakes == []


def test_deep_nesting_is_a_mistake() -> None:
    assert problems("log: " + "[" * 5000)
    assert problems("log: " + "[" * 300 + "]" * 300)


def test_huge_numbers_are_mistakes() -> None:
    assert problems("passwords: {concurrency: " + "9" * 6000 + "}")
    assert problems("session: {idle_timeout: " + "9" * 600 + "d}")
    assert problems("session: {idle_timeout: .inf}")


def test_a_broken_route_keeps_the_numbers_of_the_others() -> None:
    text = """routes:
  - {path: /a}
  - {path: /b, upstream: "nonsense"}
"""
    assert [key for _, key, _ in problems(text)] == ["routes[0].upstream", "routes[1].upstream"]


def test_loading_leaves_the_environment_as_it_was() -> None:
    before = dict(os.environ)
    loaded(ROUTE)
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("section", "key"),
    [
        (name, key)
        for name in ("server", "session", "storage", "passwords", "branding", "log")
        for key in list(type(getattr(Config(), name)).keys())
    ],
)
def test_each_misspelt_key_is_answered_with_the_right_one(section: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(f"{section}: {{{key}z: 1}}")
    (mistake,) = caught.value.mistakes
    assert (mistake.key, mistake.mend) == (f"{section}.{key}z", f"did you mean `{key}`?")


@pytest.mark.parametrize(
    ("written", "meant"),
    [("2 hours", "2h"), ("5min", "5m"), ("1 day", "1d"), ("2 months", ""), ("500 ms", "500ms"), ("soon", "")],
)
def test_a_duration_in_other_words_is_answered_with_ours(written: str, meant: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(f"session: {{idle_timeout: {written}}}")
    (mistake,) = caught.value.mistakes
    assert mistake.mend == (f"did you mean `{meant}`?" if meant else "")


def test_the_headers_that_may_be_renamed_are_those_of_the_routes_presets() -> None:
    route = "routes: [{{upstream: 'http://127.0.0.1:9000', headers: {{{}}}}}]"
    loaded(route.format("preset: [authentik], rename: {X-authentik-username: X-Who}"))
    with pytest.raises(ConfigError, match="not one of this route's identity headers"):
        loaded(route.format("preset: [authentik], rename: {Remote-User: X-Who}"))


def test_a_sound_file_with_many_features_has_only_warnings() -> None:
    result = read(ROOT / "tests/data/good_configs/replicas.yaml", {"PW": "pw"})
    assert [warning.key for warning in result.warnings] == [
        "server.trusted_proxies",
        "sms.url",
        "email.tls",
        "routes[0].tls.verify",
    ]
    assert result.config.storage.url == "postgresql://u:pw@db/g"
    assert "pw@" not in repr(result.config)
