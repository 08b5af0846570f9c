"""Rules by country: an unknown one opens nothing, and there is no such rule without a database to ask."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli.check.command import check
from gateway.config.countries import asks_countries
from gateway.config.loader import read_text
from gateway.config.schema import Config, Policy, Route
from gateway.errors import ConfigError
from gateway.forwardauth.engine_pass import is_settled
from gateway.model import Target, Verdict
from gateway.policy.decide import decide
from tests.geoip import geoip_file
from tests.unit.config.test_rules import NOW, config, target, who


def caller(country: str) -> Target:
    return target(country=country)


@pytest.mark.parametrize(
    ("countries", "require", "matching"),
    [
        (["DE", "AT"], "bypass", ["DE", "AT"]),
        (["!DE", "!AT"], "bypass", ["FR"]),
        (["!DE", "!AT"], "one_factor", ["FR"]),
        (["DE"], "deny", ["DE"]),
        (["!DE"], "deny", ["AT", "FR", ""]),
    ],
)
def test_an_unknown_country_opens_nothing(countries: list[str], require: str, matching: list[str]) -> None:
    made = config({"countries": countries, "require": require, "name": "asked"}, {"require": "two_factor"})
    decided = {one: decide(made.routes[0], caller(one), who(), NOW).rule for one in ("DE", "AT", "FR", "")}
    assert [one for one, rule in decided.items() if rule == "*/ asked"] == matching


def test_a_single_policy_names_the_country_as_its_reason() -> None:
    route = Route(upstream="http://127.0.0.1:1", policy=Policy(countries=("DE",)))
    found = decide(route, caller("FR"), who(), NOW)
    assert (found.verdict, found.reason) == (Verdict.DENY, "country")
    assert not is_settled(route), "no pass may hold it: HAProxy can't tell countries"


DATABASE = "risk: {geoip_file: x.mmdb}\n"
MISTAKES: list[tuple[str, str, str]] = [
    ("", "policy: {countries: [DE]}", "needs `risk.geoip_file`: without it every country is unknown"),
    (DATABASE, "policy: {countries: [UK]}", "did you mean `GB`?"),
    (DATABASE, "policy: {countries: ['!ZZ']}", "there is no country `ZZ`"),
    (DATABASE, "policy: {countries: [DE, '!FR']}", "has entries with `!` and without"),
    (DATABASE, "policy: {countries: [Germany]}", "a country's ISO code such as `DE`"),
    (DATABASE, "rules: [{countries: [DE, AT]}, {countries: [DE], users: [x]}]", "is never reached"),
    (DATABASE, "rules: [{countries: ['!DE'], require: deny}, {countries: ['!DE']}]", "is never reached"),
]


@pytest.mark.parametrize(("before", "yaml", "problem"), MISTAKES)
def test_mistakes_are_named_with_their_mend(before: str, yaml: str, problem: str) -> None:
    text = f"{before}routes:\n  - upstream: http://127.0.0.1:1\n    {yaml}\n"
    with pytest.raises(ConfigError) as caught:
        read_text(text, "config.yaml", {})
    assert problem in str(caught.value)


def test_a_rule_that_denies_the_unknown_is_not_hidden_by_one_that_does_not() -> None:
    rules = "rules: [{countries: ['!DE']}, {countries: ['!DE'], require: deny}]"
    text = f"{DATABASE}routes:\n  - upstream: http://127.0.0.1:1\n    {rules}\n"
    assert len(read_text(text, "config.yaml", {}).config.routes[0].rules) == 2


def test_nothing_is_looked_up_where_no_rule_asks() -> None:
    assert not asks_countries(config({"require": "bypass"}))
    assert asks_countries(config({"require": "bypass"}, shared=({"countries": ["DE"]},)))
    client = {"id": "a", "redirect_uris": ["https://a.test/"], "policy": {"countries": ["DE"]}}
    assert asks_countries(Config.model_validate({"oidc": {"clients": [client]}}))


def checked(folder: Path, *options: str) -> Any:
    file = folder / "config.yaml"
    rules = "[{name: home, countries: [DE], require: bypass}, {require: deny}]"
    file.write_text(
        f"risk: {{geoip_file: '{geoip_file(folder)}'}}\nroutes:\n  - upstream: http://127.0.0.1:1\n    rules: {rules}\n"
    )
    return CliRunner().invoke(check, ["--config", str(file), *options])


def test_explanations_and_policy_tests_know_where_an_address_is(tmp_path: Path) -> None:
    explained = json.loads(
        checked(tmp_path, "--explain", "https://a.test/", "--ip", "203.0.113.7", "--json").stdout
    )
    assert (explained["verdict"], explained["rules"][0]["answers"][0]["has"]) == ("allow", "DE")
    unknown = checked(tmp_path, "--explain", "https://a.test/", "--ip", "192.0.2.7").stdout
    assert "miss countries: wants DE; has unknown" in unknown
    (tmp_path / "config.tests.yaml").write_text(
        "tests:\n"
        "  - {url: 'https://a.test/', ip: 203.0.113.7, expect: allow}\n"
        "  - {url: 'https://a.test/', ip: 198.51.100.7, expect: deny}\n"
    )
    assert "2 policy tests passed" in checked(tmp_path).stdout


def test_a_database_that_can_not_be_read_is_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("risk: {geoip_file: absent.mmdb}\nroutes: [{upstream: 'http://127.0.0.1:1'}]\n")
    result = CliRunner().invoke(check, ["--config", str(file)])
    assert (result.exit_code, "risk.geoip_file" in result.stderr) == (2, True)
