"""Names have one spelling, whoever compares them: rules, explanations, directories, imports, lookups."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.check.explain import Supposed, answer
from gateway.config.loader import read_text
from gateway.config.names import checked_user_name, group_name, mail_address, mail_domain, user_name
from gateway.config.schema import Config
from gateway.directory import identifiers
from gateway.errors import ConfigError, InvalidUser
from gateway.model import Principal, SessionRecord, Target, User, Verdict
from gateway.policy.decide import decide
from gateway.request.target import nowhere, supposed_target

SAME = [("Alice", "alice"), ("ＡＬＩＣＥ", "alice"), ("Straße", "strasse"), (" bob ", "bob"), ("ǅ", "dž")]


def config(policy: str) -> Config:
    text = f"routes: [{{host: app.test, upstream: 'http://127.0.0.1:9000', policy: {policy}}}]\n"
    return read_text(text, "config.yaml", {}).config


def verdict(loaded: Config, user: User) -> Verdict:
    session = SessionRecord("s", user.username, ("password", "sms"), {}, 0.0, 0.0, 9.0)
    target: Target = supposed_target("http://app.test/", "GET", "192.0.2.1", nowhere)
    return decide(loaded.routes[0], target, Principal(user, session), 1.0).verdict


@pytest.mark.parametrize(("written", "kept"), SAME)
def test_a_user_is_the_same_to_rules_directories_and_explanations(written: str, kept: str) -> None:
    assert user_name(written) == kept
    loaded = config(f"{{users: ['{written}']}}")
    assert loaded.routes[0].access[0].users == (kept,)
    assert verdict(loaded, identifiers.checked(User(written.strip()))) is Verdict.ALLOW
    for typed in (written, kept):
        supposed = Supposed(
            url="http://app.test/",
            user=typed,
            ip="192.0.2.1",
            method="GET",
            groups=(),
            proven={"password": 1.0, "sms": 1.0},
            now=1.0,
        )
        assert answer(loaded, supposed, nowhere)["verdict"] == "allow"
    assert verdict(loaded, User("mallory")) is Verdict.DENY


def test_a_rule_that_denies_a_user_denies_however_it_is_written() -> None:
    """Authelia's `John:` in the users file and `user:John` in a rule are one person (docs/migrating.md)."""
    rules = "[{users: [John], require: deny}, {require: one_factor}]"
    text = f"routes: [{{host: app.test, upstream: 'http://127.0.0.1:9000', rules: {rules}}}]\n"
    loaded = read_text(text, "config.yaml", {}).config
    assert verdict(loaded, identifiers.checked(User("John"))) is Verdict.DENY
    assert verdict(loaded, identifiers.checked(User("jane"))) is Verdict.ALLOW


@pytest.mark.parametrize("section", ["{groups: ['ｏps ']}", "{groups: [ops]}"])
def test_groups_have_one_spelling_in_which_capitals_count(section: str) -> None:
    loaded = config(section)
    assert verdict(loaded, identifiers.checked(User("a", groups=("ops",)))) is Verdict.ALLOW
    assert verdict(loaded, identifiers.checked(User("a", groups=("Ops",)))) is Verdict.DENY


@pytest.mark.parametrize("policy", ["{users: ['']}", "{groups: [' ']}", "{users: ['\\u3000']}"])
def test_an_empty_name_is_a_mistake(policy: str) -> None:
    with pytest.raises(ConfigError):
        config(policy.encode().decode("unicode_escape"))


def test_every_list_of_names_in_the_configuration_is_spelled_like_that() -> None:
    provider = {
        "name": "x",
        "kind": "oidc",
        "issuer": "https://id.test",
        "client_id": "a",
        "client_secret": "b",
    }
    app = {"id": "wiki", "redirect_uris": ["https://wiki.test/cb"]}
    loaded = Config.model_validate(
        {
            "admin": {"groups": [" Chiefs"]},
            "access_requests": [{"group": "ｏps", "approvers": ["ｌeads "]}],
            "identity_providers": [provider | {"domains": ["BÜCHER.example"], "create_groups": ["ｎew"]}],
            "oidc": {"clients": [app | {"policy": {"users": ["Alice"], "groups": ["ｏps"]}}]},
        }
    )
    assert loaded.admin.groups == ("Chiefs",)
    asked = loaded.access_requests[0]
    assert (asked.group, asked.approvers) == ("ops", ("leads",))
    found = loaded.identity_providers[0]
    assert (found.domains, found.create_groups) == (("xn--bcher-kva.example",), ("new",))
    policy = loaded.oidc.clients[0].policy
    assert (policy.users, policy.groups) == (("alice",), ("ops",))


@given(st.text(max_size=20))
def test_a_spelling_is_the_spelling_of_itself(text: str) -> None:
    for spell in (user_name, group_name, mail_domain, mail_address):
        assert spell(spell(text)) == spell(text)
    assert user_name(text.upper()) == user_name(text.upper().lower()) or not text.isascii()


@given(st.text(min_size=1, max_size=20))
def test_what_a_directory_keeps_is_what_a_rule_says(text: str) -> None:
    try:
        kept = checked_user_name(text)
    except InvalidUser:
        return
    assert kept == user_name(text)


DIFFERENT = [
    ("boſſ@example.com", "boss@example.com"),
    ("weiß@example.com", "weiss@example.com"),
    ("a@straße.example", "a@strasse.example"),
    ("İ@example.com", "i@example.com"),
    ("ａ@example.com", "a@example.com"),
    ("é@example.com", "É@example.com"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_addresses_of_two_owners_are_two(one: str, other: str) -> None:
    assert mail_address(one) != mail_address(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alice@Example.COM", "alice@example.com"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("a@BÜCHER.example.", "a@bücher.example"),
        ("weiß@example.com", "weiß@EXAMPLE.com"),
    ],
)
def test_spellings_of_one_address_are_one(one: str, other: str) -> None:
    assert mail_address(one) == mail_address(other) != ""


@pytest.mark.parametrize(
    "text", ["", "@", "a", "a@", "@b.test", "a@b c", "a@-x.test", "a@x..test", "a@\ud800"]
)
def test_what_is_no_address_equals_none(text: str) -> None:
    assert mail_address(text) == ""
