"""Names that nobody new gets: those that can be taken for somebody or something else."""

import pytest

from gateway.config.names import checked_user_name
from gateway.directory import identifiers
from gateway.errors import InvalidUser

REFUSED = {
    "rоot": "Cyrillic and Latin",
    "аdmin": "Cyrillic and Latin",
    "αlice": "Greek and Latin",
    "аλ": "Cyrillic and Greek",
    ".": "begin",
    "..": "begin",
    "-rf": "begin",
    "@here": "begin",
    "_": "begin",
    "<b>": "begin",
    "a<b>": "not allowed",
    "a/b": "not allowed",
    "corp\\alice": "not allowed",
    "{user}": "begin",
    "a*": "not allowed",
    'a"b': "not allowed",
    "a`id`": "not allowed",
    "a%2f": "not allowed",
}


@pytest.mark.parametrize(("name", "why"), REFUSED.items())
def test_a_name_that_can_be_taken_for_something_else_is_refused_with_the_reason(name: str, why: str) -> None:
    with pytest.raises(InvalidUser) as refused:
        identifiers.new_username(name)
    assert why in refused.value.detail


@pytest.mark.parametrize(
    "name",
    [
        "alice",
        "o'brien",
        "jörg",
        "иван",
        "alice@example.com",
        "a.b-c_d+e",
        "_svc",
        "7of9",
        "山田taro",
        "さくら花",
        "김철수",
        "μαρία",
        "müller2",
        "pc1$",
    ],
)
def test_names_as_people_have_them_are_taken(name: str) -> None:
    assert identifiers.new_username(name) == name


@pytest.mark.parametrize("name", REFUSED)
def test_who_has_such_a_name_already_still_signs_in(name: str) -> None:
    assert checked_user_name(name) == name
