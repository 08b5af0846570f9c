import json
from pathlib import Path

from click.testing import CliRunner

from gateway.cli.check.command import check

SOUND = """
routes:
  - {host: app.example.com, path: /public, upstream: "http://127.0.0.1:9000", policy: {require: bypass}}
  - {host: app.example.com, upstream: ["http://127.0.0.1:9000", "unix:/run/app.sock"]}
"""


def run(tmp_path: Path, text: str, *options: str) -> tuple[int, str, str]:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    result = CliRunner().invoke(check, ["--config", str(file), *options])
    return result.exit_code, result.stdout, result.stderr


def test_a_sound_file_exits_0_with_its_routes(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, SOUND)
    assert code == 0
    assert "is sound" in out
    rows = [line.split() for line in out.splitlines()]
    assert ["app.example.com", "/public", "http://127.0.0.1:9000", "bypass"] in rows
    assert ["app.example.com", "/", "http://127.0.0.1:9000,", "unix:/run/app.sock", "two_factor"] in rows


def test_rules_and_conditions_stand_below_their_route_in_the_order_in_which_they_are_asked(
    tmp_path: Path,
) -> None:
    text = """
rules: [{require: deny, networks: [192.0.2.0/24]}]
routes:
  - {host: a, upstream: "http://127.0.0.1:1", policy: {require: one_factor, groups: [ops, admins], max_age: 15m}}
  - host: b
    upstream: http://127.0.0.1:2
    rules:
      - {paths: [/api], require: two_factor, machine_suffices: true, query: [{format: {one_of: [csv]}}]}
      - {require: two_factor}
"""
    code, out, _ = run(tmp_path, text)
    assert code == 0
    assert [line.strip() for line in out.splitlines() if line.startswith("    ")] == [
        "1. deny; networks 192.0.2.0/24",
        "2. one_factor; groups ops, admins; max age 15m",
        "1. deny; networks 192.0.2.0/24",
        '2. two_factor; machine suffices; paths /api; query [{"format": {"one_of": ["csv"]}}]',
        "3. two_factor",
    ]


def test_a_policy_that_only_requires_says_so_in_its_row(tmp_path: Path) -> None:
    assert not [line for line in run(tmp_path, SOUND)[1].splitlines() if line.startswith("    ")]


def test_mistakes_exit_2_on_stderr(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, SOUND + "log: {level: loud}\nfoo: 1\n")
    assert (code, out) == (2, "")
    assert "log.level" in err
    assert "foo: is not a known key" in err
    assert "2 mistakes" in err


def test_a_missing_file_exits_2(tmp_path: Path) -> None:
    result = CliRunner().invoke(check, ["--config", str(tmp_path / "absent.yaml")])
    assert result.exit_code == 2
    assert "can't be read" in result.stderr


def test_json_names_routes_and_warnings(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, SOUND + 'server: {trusted_proxies: ["::/0"]}\n', "--json")
    report = json.loads(out)
    assert (code, report["ok"]) == (0, True)
    assert report["routes"][0] == {
        "host": "app.example.com",
        "path": "/public",
        "upstream": "http://127.0.0.1:9000",
        "require": "bypass",
    }
    assert [warning["key"] for warning in report["warnings"]] == ["server.trusted_proxies[0]"]


def test_json_names_each_mistake(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, "log:\n  level: warn\n", "--json")
    report = json.loads(out)
    assert (code, report["ok"]) == (2, False)
    (mistake,) = report["mistakes"]
    assert (mistake["line"], mistake["key"], mistake["mend"]) == (2, "log.level", "did you mean `warning`?")


def test_with_an_engine_each_route_says_who_carries_it_and_why(tmp_path: Path) -> None:
    engine = SOUND + "server: {engine: envoy}\n"
    code, out, _ = run(tmp_path, engine)
    assert code == 0
    assert "carried_by" in out
    assert "workers     several upstreams share the load as the workers see it" in out
    assert "envoy       plain requests that a worker has allowed" in out
    report = json.loads(run(tmp_path, engine, "--json")[1])
    assert [route["carried_by"] for route in report["routes"]] == ["envoy", "workers"]
    assert "carried_by" not in json.loads(run(tmp_path, SOUND, "--json")[1])["routes"][0]
