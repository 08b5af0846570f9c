"""Policy tests beside a configuration, and explanations with every demand."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.check.command import check

CONFIG = """
routes:
  - host: app.test
    upstream: "http://127.0.0.1:9000"
    rules:
      - {name: health, paths: [/health], require: bypass}
      - {name: admin, paths: [/admin], groups: [admins], factors: [webauthn], max_age: 10m}
      - {name: staff, groups: [staff]}
"""
RIGHT = """
tests:
  - {url: "https://app.test/health", expect: allow, rule: app.test/ health}
  - {url: "https://app.test/x", expect: sign_in}
  - {url: "https://app.test/x", user: mira, groups: [staff], expect: allow, reason: policy_holds}
  - {url: "https://app.test/x", user: mira, groups: [staff], factors: [password], expect: step_up}
  - url: https://app.test/admin
    user: ada
    groups: [admins]
    factors: [password, webauthn]
    age: 1h
    expect: step_up
    reason: proof_too_old
  - {url: "https://other.test/", user: ada, expect: refused}
"""


def run(folder: Path, tests: str, *options: str) -> tuple[int, str, str]:
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "config.tests.yaml").write_text(tests)
    result = CliRunner().invoke(check, ["--config", str(folder / "config.yaml"), *options])
    return result.exit_code, result.stdout, result.stderr


def test_expectations_that_hold_are_counted(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, RIGHT)
    assert (code, "6 policy tests passed" in out) == (0, True)
    assert json.loads(run(tmp_path, RIGHT, "--json")[1])["policy_tests"] == 6


def test_each_expectation_that_fails_has_its_line_and_why(tmp_path: Path) -> None:
    wrong = """tests:
  - {url: "https://app.test/health", expect: allow}
  - {name: nobody reads x, url: "https://app.test/x", expect: deny}
  - {url: "https://app.test/x", user: mira, groups: [staff], expect: allow, rule: health}
"""
    code, _, err = run(tmp_path, wrong)
    assert code == 2
    assert "config.tests.yaml:3: nobody reads x: verdict is sign_in, not deny" in err
    assert "config.tests.yaml:4: https://app.test/x: rule is app.test/ staff, not health" in err
    assert "miss paths: wants /health; has /x" in err
    assert "2 mistakes" in err


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ("tests:\n  - {url: nowhere, expect: allow}", "config.tests.yaml:2: tests[0].url"),
        ("tests:\n  - {url: 'https://app.test', expect: perhaps}", "tests[0].expect"),
        ("tests:\n  - {url: 'https://app.test', expect: allow, usr: x}", "tests[0].usr"),
        ("tests:\n  - {url: 'https://app.test', expect: deny, ip: here}", "'here' does not appear to be"),
        ("tests:\n  - {url: 'https://app.test', expect: deny, at: noon}", "write a time such as"),
        ("tests:\n  - 5", "tests[0]"),
        ("tests: 5", "must be a list of tests"),
        ("", "must be a list of tests"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_a_test_that_cannot_be_read_is_a_mistake(tmp_path: Path, tests: str, said: str) -> None:
    code, _, err = run(tmp_path, tests)
    assert (code, said in err) == (2, True), err


def test_another_file_can_be_named_and_must_exist(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(RIGHT)
    assert "6 policy tests" in run(tmp_path, "", "--tests", str(tmp_path / "other.yaml"))[1]
    assert run(tmp_path, RIGHT, "--tests", str(tmp_path / "absent.yaml"))[0] == 2


def test_an_explanation_names_every_demand_of_a_rule_that_matches(tmp_path: Path) -> None:
    url = (
        "--explain",
        "https://app.test/admin",
        "--user",
        "ada",
        "--groups",
        "admins",
        "--amr",
        "password,sms",
    )
    _, out, _ = run(tmp_path, RIGHT, *url)
    assert "demands hit  require: wants two_factor; has password, sms" in out
    assert "demands miss factors: wants webauthn; has password, sms" in out
    assert "demands miss max_age: wants 600 s; has password 0 s ago, sms 0 s ago" in out
    assert "step_up by app.test/ admin: factor" in out
