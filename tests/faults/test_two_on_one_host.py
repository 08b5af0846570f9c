"""Two gateways on one machine: cookies know no ports, so they end each other's sessions unless their cookies differ."""

from pathlib import Path

from click.testing import CliRunner

from gateway.cli import main
from tests.faults.serving import Machine, Person


def machine(folder: Path, name: str, app: str, **session: str) -> Machine:
    keys = {"keys_file": str(folder / f"{name}.keys"), **session}
    storage = {"url": f"sqlite:///{folder}/{name}.db"}
    return Machine(folder=folder, name=name, app=app, storage=storage, sections={"session": keys})


async def test_a_cookie_of_another_gateway_is_named_in_the_log_and_other_names_live_side_by_side(
    tmp_path: Path, app: str
) -> None:
    one, other = machine(tmp_path, "one", app), machine(tmp_path, "other", app)
    for each in (one, other):
        async with each.serving():
            pass
        await each.add_user()
    async with one.serving() as first, other.serving() as second, Person() as alice:
        assert await alice.password(first) == 303
        assert (await alice.ask(first))[0] == 200
        assert (await alice.ask(second))[0] == 303, "the browser sends it to every port"
        await second.said_until("session.cookie_name")
        await alice.ask(second)
        assert sum("session.cookie_name" in line for line in second.output) == 1, "told once"
        assert not first.said("session.cookie_name")


async def test_one_address_two_gateways_is_a_sentence_and_the_first_goes_on(tmp_path: Path, app: str) -> None:
    one, other = machine(tmp_path, "one", app), machine(tmp_path, "other", app)
    other.port = one.port
    async with one.serving() as first, other.started() as second:
        assert await second.ended() != 0
        assert "Traceback" not in "".join(second.output)
        assert second.said("another program already listens there")
        async with Person() as alice:
            assert (await alice.ask(first, "/_auth/healthz"))[0] == 200


async def test_two_gateways_on_one_folder_of_stores_and_keys_are_replicas(tmp_path: Path, app: str) -> None:
    one = machine(tmp_path, "one", app)
    other = machine(tmp_path, "other", app, keys_file=str(tmp_path / "one.keys"))
    other.storage = one.storage
    async with one.serving() as first:
        await one.add_user()
        async with other.serving() as second, Person() as alice:
            assert await alice.password(first) == 303
            assert (await alice.ask(second))[0] == 200
            assert (await alice.ask(first))[0] == 200


def test_check_warns_where_another_port_of_this_name_would_share_the_cookie(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    text = """
server: {{public_url: "https://apps.example.com:8443", trusted_proxies: ["127.0.0.1"]}}
session: {{keys_file: "{folder}/session.keys"{name}}}
storage: {{url: "sqlite:///{folder}/gateway.db"}}
routes: [{{host: apps.example.com, path: /, upstream: "http://127.0.0.1:9000"}}]
"""
    file.write_text(text.format(folder=tmp_path, name=""))
    said = CliRunner().invoke(main, ["check", "--config", str(file)]).output
    assert "cookies know no ports" in said
    assert "auth_session_8443" in said
    file.write_text(text.format(folder=tmp_path, name=", cookie_name: auth_session_8443"))
    assert "cookies know no ports" not in CliRunner().invoke(main, ["check", "--config", str(file)]).output
