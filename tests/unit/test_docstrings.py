"""What a docstring must say. Everything in gateway/ whose name does not begin with an underscore is held to it.

1. A class says what it is. (Of modules, test_house_rules.py asks the same.)
2. A function that raises an exception by itself names it.
3. A function says the unit of each number it takes that is a duration or a size, unless the name does
   (`drain_seconds`). Moments need no word: `now`, `at`, `since`, `until`, `before` and names that end in `_at` are Unix
   time in seconds, everywhere (gateway/clock.py).
4. A function whose body is longer than three lines says what it does or returns.
5. A docstring says what a thing is before it says what is true of its parts: it begins with a sentence, not with the
   name of a parameter, an exception or a heading.

A method needs no docstring of its own where the class that it overrides, or a Protocol that it fulfils, has one. What a
class says counts for its `__init__`. A command's docstring is the help that users read: it names no exceptions, and its
numbers are options with a help of their own.
"""

import ast
import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

GATEWAY = Path(__file__).resolve().parents[2] / "gateway"

Function = ast.FunctionDef | ast.AsyncFunctionDef

SHORT = 3
"""Lines of a body that is read as quickly as a sentence about it."""

MIGRATIONS = "stores/migrations/versions/"
"""A migration is one function, `upgrade`, which Alembic calls: its module's docstring is about nothing else."""

CANT_HAPPEN = {"AssertionError", "NotImplementedError"}
"""Nobody is meant to meet these, so nobody has to be told."""

MOMENT = re.compile(r"now|at|since|until|before|\w+_at")
MEASURE = re.compile(
    r"(\w+_)?(timeout|ttl|life|lifetime|window|interval|grace|delay|pause|age|lease|linger"
    r"|size|most|largest|longest|length|amount)"
)
"""Names of whole numbers that mean little without a unit. A fraction needs one whatever it is called."""
UNIT = re.compile(
    r"\b(seconds?|minutes?|hours?|days?|Unix time|clock|bytes?|characters?|digits|lines|headers|entries|rows|users|hits"
    r"|millionths|km/h|ratio|between 0 and 1)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Public:
    """A public function or method, with the class that it is in."""

    file: str
    node: Function
    owner: ast.ClassDef | None = None

    def __str__(self) -> str:
        before = f"{self.owner.name}." if self.owner else ""
        return f"{self.file}: {before}{self.node.name}"

    @property
    def arguments(self) -> list[ast.arg]:
        return [*self.node.args.posonlyargs, *self.node.args.args, *self.node.args.kwonlyargs]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.arg for one in self.arguments)

    @property
    def is_command(self) -> bool:
        """Whether click makes a command of it: then its docstring is for users."""
        return any(re.search(r"\.(command|group)\b", ast.unparse(one)) for one in self.node.decorator_list)

    @property
    def length(self) -> int:
        """Lines of the body, without the docstring."""
        body = self.node.body[1:] if ast.get_docstring(self.node) else self.node.body
        return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def public_classes(tree: ast.Module) -> list[ast.ClassDef]:
    return [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]


def public_functions(file: str, tree: ast.Module) -> Iterator[Public]:
    """Those of the module and of its public classes, `__init__` with them."""
    for node in tree.body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield Public(file, node)
    for owner in public_classes(tree):
        for node in owner.body:
            if isinstance(node, Function) and (node.name == "__init__" or not node.name.startswith("_")):
                yield Public(file, node, owner)


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """What runs when the function does, without the functions inside."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if not isinstance(node, Function | ast.ClassDef | ast.Lambda):
            yield node
            waiting += ast.iter_child_nodes(node)


def last_name(node: ast.AST) -> str:
    """The last part of a dotted name, "" for anything else."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def raised(function: Function, returned: Mapping[str, str]) -> set[str]:
    """The exceptions that the function raises by itself: named, made by a function (`returned`), or held in a variable.

    One that comes out of an object (`raise self._error`) was named where it was put there.
    """
    nodes = list(own_nodes(function))
    held = {
        last_name(target): node.value
        for node in nodes
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(node.value, ast.Call)
    }
    found: set[str] = set()
    thrown: list[ast.AST] = [node.exc for node in nodes if isinstance(node, ast.Raise) and node.exc]
    while thrown:
        one = thrown.pop()
        if isinstance(one, ast.BoolOp):
            thrown += one.values
        elif isinstance(one, ast.Await):
            thrown.append(one.value)
        elif isinstance(one, ast.Name) and one.id in held:
            thrown.append(held.pop(one.id))
        elif isinstance(one, ast.Call):
            name = last_name(one.func)
            found.add(returned.get(name, name))
        else:
            found.add(last_name(one))
    return {name for name in found if name[:1].isupper()} - CANT_HAPPEN


def returns(tree: ast.Module) -> dict[str, str]:
    """Function or method of a module -> the class that it returns, so that `raise too_large()` has a name."""
    return {
        node.name: last_name(node.returns)
        for node in ast.walk(tree)
        if isinstance(node, Function) and node.returns
    }


def unmeasured(one: Public, said: str) -> list[str]:
    """The numbers that the function takes of which nobody knows what they count."""
    numbers = [
        arg.arg
        for arg in one.arguments
        if arg.annotation is not None
        and re.fullmatch(r"(float|int)( \| None)?", ast.unparse(arg.annotation))
        and not MOMENT.fullmatch(arg.arg)
        and ("float" in ast.unparse(arg.annotation) or MEASURE.fullmatch(arg.arg))
    ]
    return [name for name in numbers if not UNIT.search(name.replace("_", " ")) and not UNIT.search(said)]


FILES = sorted(GATEWAY.rglob("*.py"))
TREES = {str(file.relative_to(GATEWAY)): ast.parse(file.read_text(encoding="utf-8")) for file in FILES}
FUNCTIONS = [one for file, tree in TREES.items() for one in public_functions(file, tree)]
RETURNED = {name: kind for tree in TREES.values() for name, kind in returns(tree).items()}
PROMISED = {
    (one.node.name, one.names): ast.get_docstring(one.node) or ""
    for one in FUNCTIONS
    if one.owner and any(last_name(base) == "Protocol" for base in one.owner.bases)
}
"""Method of a Protocol, by name and arguments -> what the Protocol says of it."""


def above(one: Public) -> str | None:
    """What the class says that the method overrides; of a library's, only that there is one. None if there is none."""
    if one.owner is None or not one.owner.bases:
        return None
    module = importlib.import_module("gateway." + one.file.removesuffix(".py").replace("/", "."))
    for base in getattr(module, one.owner.name).__mro__[1:]:
        if one.node.name in vars(base):
            ours = base.__module__.startswith("gateway.")
            return getattr(base, one.node.name).__doc__ or ("" if ours else f"as {base.__name__} says")
    return None


def said_of(one: Public) -> str:
    """All that a reader is told of a function."""
    said = ast.get_docstring(one.node) or ""
    if one.owner and one.node.name == "__init__":
        said = f"{ast.get_docstring(one.owner) or ''} {said}"
    elif one.owner and not said:
        said = PROMISED.get((one.node.name, one.names)) or above(one) or ""
    return " ".join(said.split())


def test_public_classes_say_what_they_are() -> None:
    silent = [
        f"{file}: {owner.name}"
        for file, tree in TREES.items()
        for owner in public_classes(tree)
        if not ast.get_docstring(owner)
    ]
    assert silent == []


def test_public_functions_name_the_exceptions_that_they_raise() -> None:
    unsaid = {
        str(one): sorted(names)
        for one in FUNCTIONS
        if not one.is_command
        and (
            names := {
                name for name in raised(one.node, RETURNED) if not re.search(rf"\b{name}\b", said_of(one))
            }
        )
    }
    assert unsaid == {}


def test_public_functions_say_the_units_of_their_numbers() -> None:
    ours = [one for one in FUNCTIONS if not one.is_command]
    assert {str(one): names for one in ours if (names := unmeasured(one, said_of(one)))} == {}


def test_public_functions_of_some_length_say_what_they_do() -> None:
    long = [one for one in FUNCTIONS if one.length > SHORT and one.node.name != "__init__"]
    assert [str(one) for one in long if not one.file.startswith(MIGRATIONS) and not said_of(one)] == []


def test_docstrings_begin_by_saying_what_the_thing_is() -> None:
    owned = [(f"{file}: {one.name}", one) for file, tree in TREES.items() for one in public_classes(tree)]
    named = [(str(one), one.node) for one in FUNCTIONS if one.node.name != "__init__"]
    said = {name: ast.get_docstring(node) or "" for name, node in (*owned, *named)}
    assert [name for name, text in said.items() if re.match(r"`|Raises|Args|Returns:", text)] == []


def only(source: str) -> Public:
    """The one function of `source`."""
    return next(public_functions("a.py", ast.parse(source)))


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("raise ValueError('x')", {"ValueError"}),
        ("raise errors.Gone from error", {"Gone"}),
        ("late = Late('x')\n    raise late from error", {"Late"}),
        ("raise failure or Unreachable('x')", {"Unreachable"}),
        ("raise too_large()", {"Refused"}),
        ("raise await self._spent(x)", {"Spent"}),
        ("raise NotImplementedError", set()),
        ("raise", set()),
        ("def inner():\n        raise ValueError", set()),
        ("raise self._error", set()),
        ("raise too_large", set()),
    ],
)
def test_the_rule_sees_what_is_raised(body: str, names: set[str]) -> None:
    function = only(f"def f():\n    {body}\n").node
    assert raised(function, {"too_large": "Refused", "_spent": "Spent"}) == names


@pytest.mark.parametrize(
    ("arguments", "said", "unsaid"),
    [
        ("now: float, used_at: float", "", []),
        ("speed: float", "", ["speed"]),
        ("speed: float", "`speed` in km/h.", []),
        ("timeout: float | None = None", "", ["timeout"]),
        ("drain_seconds: float", "", []),
        ("most: int, number: int", "", ["most"]),
        ("most: int", "At most `most` bytes.", []),
        ("text: str", "", []),
    ],
)
def test_the_rule_sees_what_is_measured(arguments: str, said: str, unsaid: Sequence[str]) -> None:
    assert unmeasured(only(f"def f({arguments}): ...\n"), said) == unsaid
