"""Attributes are bounded, in one order, and the same from a file, an import, an entry of LDAP and back."""

from pathlib import Path

import pytest
import yaml

from gateway.admin.exports import _users_yaml
from gateway.config.schema import LdapAttributes
from gateway.directory import identifiers, yaml_users
from gateway.directory.ldap_entries import LdapEntry, user_of
from gateway.directory.user_files import BadLine, read_yaml
from gateway.errors import ConfigError, InvalidUser
from gateway.model import Attributes, User
from gateway.policy.explain import attribute_words

FOUND: Attributes = (("department", ("ops", "dev")), ("site", ("Köln",)))


def test_attributes_have_one_order_and_no_empty_values() -> None:
    given = {"site": [" Köln "], "department": ["ops", "dev", "ops"], "none": [], "blank": [" "]}
    assert identifiers.attributes(given) == FOUND
    assert User("alice", attributes=FOUND).attribute("department") == ("ops", "dev")
    assert User("alice", attributes=FOUND).attribute("none") == ()
    assert attribute_words(dict(FOUND)) == "department=ops|dev, site=Köln"


@pytest.mark.parametrize(
    "given",
    [
        {"Department": ["x"]},
        {"a b": ["x"]},
        {"a:b": ["x"]},
        {"1a": ["x"]},
        {"": ["x"]},
        {"a" * 41: ["x"]},
        {"groups": ["admins"]},
        {"username": ["root"]},
        {"a": ["x\r\nRemote-User: root"]},
        {"a": ["x\0"]},
        {"a": ["x\u202e"]},
        {"a": ["\ud800"]},
        {"a": ["x" * 501]},
        {f"a{number}": ["x" * 490] for number in range(9)},
    ],
)
def test_names_signs_and_sizes_that_can_not_be_are_refused(given: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidUser):
        identifiers.checked(User("alice", attributes=tuple((k, tuple(v)) for k, v in given.items())))


@pytest.mark.parametrize("small", [True, False])
def test_a_file_has_texts_and_lists_of_them(
    tmp_path: Path, small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not small:  # another process reads it then, and tells what it has read as JSON
        monkeypatch.setattr(yaml_users, "SMALL", 0)
    file = tmp_path / "users.yaml"
    file.write_text("users:\n  alice:\n    attributes: {site: Köln, department: [ops, dev]}\n  bob: {}\n")
    rows, _ = yaml_users.read_anywhere(file)
    assert yaml_users.user_of(rows["alice"]).attributes == FOUND
    assert yaml_users.user_of(rows["bob"]).attributes == ()
    hash(rows["alice"])


@pytest.mark.parametrize(
    "wrong", ["[a]", "{a: 1}", "{a: [1]}", "{1: x}", "{a: {b: c}}", "{groups: x}", '{a: "x\\ny"}']
)
def test_a_file_with_something_else_is_a_mistake(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "users.yaml"
    file.write_text(f"users: {{alice: {{attributes: {wrong}}}}}\n")
    with pytest.raises(ConfigError):
        yaml_users.read_users(file)


def test_an_export_can_be_imported_again() -> None:
    text = _users_yaml([User("alice", attributes=FOUND)], False)
    assert yaml.safe_load(text)["users"]["alice"]["attributes"]["department"] == ["ops", "dev"]
    [imported] = read_yaml(text)
    assert not isinstance(imported, BadLine)
    assert identifiers.checked(imported.user).attributes == FOUND
    [bad] = read_yaml("users: [{username: a, attributes: [x]}]")
    assert isinstance(bad, BadLine)


def test_an_entry_of_ldap_gives_what_is_mapped_and_leaves_out_what_can_not_be() -> None:
    raw = {
        "uid": [b"alice"],
        "departmentnumber": [b"ops", b"dev"],
        "l": ["Köln".encode()],
        "title": [b"x\ny"],
        "secret": [b"s"],
    }
    mapping = {"department": "departmentNumber", "site": "l", "title": "title", "absent": "nothing"}
    user = user_of(LdapEntry("uid=alice", raw), LdapAttributes(more=mapping), ())
    assert user is not None
    assert user.attributes == FOUND
