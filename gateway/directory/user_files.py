"""Reads users from htpasswd, CSV and YAML text. Pure: it stores nothing; `identifiers` checks names.

A line that can't be read becomes a BadLine, so that one report can name all of them.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from gateway.config.names import is_attribute_name
from gateway.directory.password_hashing import is_supported
from gateway.directory.yaml_users import attribute_lists
from gateway.model import User

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""How text begins that a spreadsheet runs (OWASP, CSV injection)."""
FIELDS = ("username", "name", "email", "phone", "groups", "disabled", "password", "password_hash")
_OF_YAML = (*FIELDS, "attributes")
ATTRIBUTE = "attribute."
"""How a column of CSV begins that is an attribute: `attribute.department`."""
_YES, _NO = {"true", "yes", "1"}, {"false", "no", "0", ""}
_HASHES = "bcrypt, argon2id, sha512-crypt, sha256-crypt, pbkdf2, scrypt and apr1 can be imported"


@dataclass(frozen=True, slots=True)
class ImportedUser:
    """A user to import; `password` is clear text to be hashed, None if `user` has a hash or neither is given."""

    line: int
    user: User
    password: str | None = None


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no user, and why. `line` starts at 1."""

    line: int
    problem: str


Imported = Iterator[ImportedUser | BadLine]


def read_htpasswd(text: str) -> Imported:
    """Yield the users of an htpasswd file, and the lines that are none."""
    for line, content in enumerate(text.splitlines(), 1):
        if not content.strip() or content.startswith("#"):
            continue
        username, colon, hash = content.strip().partition(":")
        if not colon:
            yield BadLine(line, "not a line of htpasswd: username, colon, hash")
        else:
            yield _entry(line, {"username": username, "password_hash": hash})


def read_csv(text: str) -> Imported:
    """The first line names the columns, of FIELDS or ATTRIBUTE with a name; groups are separated by semicolon or comma,
    values of attributes by semicolon.
    """
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="")
    columns = [(name or "").strip().lower() for name in reader.fieldnames or ()]
    unknown = [name for name in columns if name not in FIELDS and not is_attribute_name(_attribute(name))]
    if unknown or "username" not in columns:
        problem = f"the first line must name columns, of: {', '.join(FIELDS)}, {ATTRIBUTE}NAME"
        yield BadLine(1, problem + (f"; not {', '.join(map(ascii, unknown))}" if unknown else ""))
        return
    reader.fieldnames = columns
    try:
        for row in reader:
            if "" in row or None in row.values():
                yield BadLine(reader.line_num, f"this row does not have {len(columns)} columns")
            else:
                yield _entry(reader.line_num, _values({key: _unquoted(cell) for key, cell in row.items()}))
    except csv.Error as error:
        yield BadLine(reader.line_num, f"not CSV: {error}")


def _attribute(column: str) -> str:
    return column.removeprefix(ATTRIBUTE) if column.startswith(ATTRIBUTE) else ""


def _values(cells: Mapping[str, str]) -> Mapping[str, object]:
    """The cells of a row, with those of attributes in one mapping, where an empty one stands for no value."""
    attributes = {name: cell.split(";") for column, cell in cells.items() if (name := _attribute(column))}
    facts = {column: cell for column, cell in cells.items() if not _attribute(column)}
    return {
        **facts,
        "attributes": {name: [one for one in many if one.strip()] for name, many in attributes.items()},
    }


def _unquoted(cell: str) -> str:
    """Take off the quote that our exports put in front of what a spreadsheet could run, such as "'+49…"."""
    return cell[1:] if cell[:1] == "'" and cell[1:].lstrip(" ").startswith(FORMULA) else cell


def read_yaml(text: str) -> Imported:
    """A list of users, or `users:` with such a list, each with the keys of FIELDS; or a file of the file directory."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if isinstance(root, yaml.MappingNode):
            root = next((value for key, value in root.value if key.value == "users"), None)
        if isinstance(root, yaml.MappingNode):
            yield from _named(root)
            return
        if not isinstance(root, yaml.SequenceNode):
            yield BadLine(1, "expected a list of users, or users: with such a list")
            return
        values = yaml.SafeLoader("")
        for node in root.value:
            yield _entry(node.start_mark.line + 1, values.construct_document(node))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        yield BadLine(line, f"not YAML: {error.problem}")


def _named(users: yaml.MappingNode) -> Imported:
    """The form of the file directory, and of `admin export`: usernames as keys, `password` is always a hash."""
    values = yaml.SafeLoader("")
    for key, node in users.value:
        facts, line = values.construct_document(node), key.start_mark.line + 1
        if not isinstance(facts, dict) or not isinstance(key.value, str) or "username" in facts:
            yield BadLine(line, "expected a username and below it keys like name and email")
            continue
        hash = facts.pop("password", None)
        facts.pop("id", None)  # it is for the file directory; our own gives one to each user
        yield _entry(line, {**facts, "username": key.value, "password_hash": hash})


READERS = {"htpasswd": read_htpasswd, "csv": read_csv, "yaml": read_yaml}


def _entry(line: int, values: object) -> ImportedUser | BadLine:
    try:
        return _checked_entry(line, values)
    except ValueError as error:
        return BadLine(line, str(error))


def _checked_entry(line: int, values: object) -> ImportedUser:
    """Raises ValueError with what is wrong."""
    if not isinstance(values, Mapping):
        raise ValueError("expected a user with keys like username and email")
    if unknown := [str(key) for key in values if key not in _OF_YAML]:
        raise ValueError(f"unknown: {', '.join(unknown)}; known are {', '.join(_OF_YAML)}")
    if (attributes := attribute_lists(values.get("attributes") or {})) is None:
        raise ValueError("attributes must be names with a text or a list of texts")
    text = {field: _text(field, values.get(field)) for field in FIELDS if field not in ("groups", "disabled")}
    hash, password = text["password_hash"], text["password"]
    if hash and password:
        raise ValueError("give password or password_hash, not both")
    if hash and not is_supported(hash):
        raise ValueError(f"this kind of password hash is not supported; {_HASHES}")
    user = User(
        text["username"],
        name=text["name"],
        email=text["email"],
        phone=text["phone"],
        groups=_groups(values.get("groups")),
        disabled=_flag(values.get("disabled")),
        password_hash=hash,
        attributes=tuple(attributes.items()),
    )
    return ImportedUser(line, user, password or None)


def _text(field: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):  # a YAML number would have lost its zeros and plus sign
        raise ValueError(f"{field} must be text: put it in quotes")
    return value


def _groups(value: object) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(value)
    if value is None or isinstance(value, str):
        separated = (value or "").replace(";", ",").split(",")
        return tuple(name.strip() for name in separated if name.strip())
    raise ValueError("groups must be a list of names")


def _flag(value: object) -> bool:
    text = str(value if value is not None else "").strip().lower()
    if text not in _YES | _NO:
        raise ValueError("disabled must be true or false")
    return text in _YES
