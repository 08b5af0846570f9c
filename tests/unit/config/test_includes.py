"""One configuration in several files: joined in order, and every mistake names the file it is in."""

from pathlib import Path

import pytest

from gateway.config.loader import Loaded, read
from gateway.errors import ConfigError

MAIN = 'include: ["conf.d/*.yaml"]\n'


@pytest.fixture
def written(tmp_path: Path) -> Path:
    (tmp_path / "conf.d").mkdir()
    return tmp_path


def loaded(folder: Path, main: str, **environ: str) -> Loaded:
    (folder / "config.yaml").write_text(main)
    return read(folder / "config.yaml", environ)


def mistakes(folder: Path, main: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, main, **environ)
    return [str(mistake).removeprefix(f"{folder}/") for mistake in caught.value.mistakes]


def route(host: str) -> str:
    return f'routes:\n  - {{host: {host}, upstream: "http://127.0.0.1:9000"}}\n'


def test_routes_come_from_the_main_file_first_and_then_file_by_file(written: Path) -> None:
    (written / "conf.d/20-b.yaml").write_text(route("b.example.com"))
    (written / "conf.d/10-a.yaml").write_text(route("a.example.com") + "log: {level: warning}\n")
    (written / "conf.d/.hidden.yaml").write_text(route("hidden.example.com"))
    (written / "conf.d/readme.txt").write_text("not yaml: [")
    config = loaded(written, MAIN + route("main.example.com") + "log: {access: false}\n").config
    assert [one.host for one in config.routes] == ["main.example.com", "a.example.com", "b.example.com"]
    assert (config.log.level, config.log.access) == ("warning", False)  # one section, from two files
    assert config.where("routes", 1) == f"{written}/conf.d/10-a.yaml:2"
    assert config.where("routes", 0, "upstream") == f"{written}/config.yaml:3"


def test_a_mistake_names_the_file_and_line_it_is_in(written: Path) -> None:
    (written / "conf.d/a.yaml").write_text("# first\n" + route("a.example.com") + "    polcy: {}\n")
    (written / "conf.d/b.yaml").write_text('routes:\n  - {upstream: "ftp://x"}\nlog:\n  levle: info\n')
    found = mistakes(written, MAIN + route("main.example.com") + "nonsense: 1\n")
    assert [line.split(": ")[0] for line in found] == [
        "config.yaml:4",
        "conf.d/a.yaml:4",
        "conf.d/b.yaml:2",
        "conf.d/b.yaml:4",
    ]


def test_what_two_files_say_is_a_mistake_and_neither_wins(written: Path) -> None:
    (written / "conf.d/a.yaml").write_text("log:\n  level: debug\nserver: {trusted_proxies: [10.0.0.0/8]}\n")
    main = MAIN + route("a.example.com") + "log: {level: info}\nserver: {trusted_proxies: [192.0.2.1]}\n"
    found = mistakes(written, main)
    assert [line.splitlines()[0] for line in found] == [
        f"conf.d/a.yaml:2: log.level: is given already in {written}/config.yaml, line 4",
        f"conf.d/a.yaml:3: server.trusted_proxies: is given already in {written}/config.yaml, line 5",
    ]


@pytest.mark.parametrize(
    ("include", "problem"),
    [
        ("[absent.yaml]", "the file {0}/absent.yaml can't be read: No such file or directory"),
        ('["nowhere/*.yaml"]', "the folder {0}/nowhere does not exist"),
        ("[conf.d]", "the file {0}/conf.d can't be read: Is a directory"),
        ('[""]', "is not a file path"),
        ('["${ABSENT}/x.yaml"]', "environment variable ABSENT is not set"),
        ("conf.d", "is not a list"),
    ],
)
def test_what_cannot_be_included_is_a_mistake_at_its_line(written: Path, include: str, problem: str) -> None:
    (line,) = mistakes(written, route("a.example.com") + f"include: {include}\n")
    assert line.startswith("config.yaml:3: include")
    assert problem.format(written) in line


def test_an_included_file_includes_no_others_and_must_be_a_mapping(written: Path) -> None:
    (written / "conf.d/a.yaml").write_text("include: [b.yaml]\n")
    (written / "conf.d/b.yaml").write_text("- a list\n")
    (written / "conf.d/c.yaml").write_text("a: [\n")
    found = mistakes(written, MAIN + route("a.example.com"))
    assert [line.split(": ")[0] for line in found] == [
        "conf.d/a.yaml:1",
        "conf.d/b.yaml:1",
        "conf.d/c.yaml:2",
    ]


def test_a_file_that_is_named_twice_counts_once_and_the_main_file_never(written: Path) -> None:
    (written / "a.yaml").write_text(route("a.example.com"))
    config = loaded(written, 'include: [a.yaml, "*.yaml", "${WHERE}/a.yaml"]\n', WHERE=str(written)).config
    assert [one.host for one in config.routes] == ["a.example.com"]


def test_an_empty_folder_adds_nothing_and_all_that_was_read_is_known(written: Path) -> None:
    (written / "sub.yaml").write_text("session: {idle_timeout: 5m}\n")
    secret = written / "password"
    secret.write_text("x")
    secret.chmod(0o600)
    main = 'include: [sub.yaml, "conf.d/*.yaml"]\n' + route("a.example.com")
    main += f"email: {{provider: smtp, host: localhost, from: a@b.example, username: u, password_file: {secret}}}\n"
    assert set(loaded(written, main).config.sources) == {
        written / "config.yaml",
        written / "sub.yaml",
        written / "conf.d/*.yaml",
        secret,
    }


def test_a_list_may_come_from_one_variable(tmp_path: Path) -> None:
    text = route("a.example.com") + "server: {trusted_proxies: '${PROXIES}'}\n"
    assert len(loaded(tmp_path, text, PROXIES="10.0.0.0/8, 192.0.2.7 ,").config.server.trusted_proxies) == 2
    assert loaded(tmp_path, text, PROXIES="").config.server.trusted_proxies == ()
    (line,) = mistakes(tmp_path, text, PROXIES="10.0.0.0/8,not-shown")
    assert line.startswith("config.yaml:3: server.trusted_proxies[1]")
    assert "not-shown" not in line
