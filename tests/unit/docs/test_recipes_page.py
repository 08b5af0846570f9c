"""docs/recipes.md: every app has a route, what the app itself must be told, and whether anybody ran it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^### ([^\n]+)\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S))
TRIED = (ROOT / "tests/recipes/apps.py").read_text(encoding="utf-8")


def test_thirty_apps_are_there() -> None:
    assert len(RECIPES) >= 30


@pytest.mark.parametrize("app", RECIPES)
def test_a_recipe_has_a_way_in_a_route_and_a_status(app: str) -> None:
    text = RECIPES[app]
    assert re.search(r"\*(Header|OIDC|Gate)\*", text, re.I), "how does the app know its users?"
    assert text.count("```yaml\nroutes:") == 1
    assert ("**Run**" in text) != ("Not run" in text)


def test_what_make_recipes_tries_is_on_the_page_and_marked_so_and_nothing_else_is() -> None:
    tried = set(re.findall(r'^@recipe\(\s*"([^"]+)"', TRIED, re.M))
    marked = {app for app, text in RECIPES.items() if "**Run** behind the gateway" in text}
    assert tried == marked
    by_test = {app for app, text in RECIPES.items() if "**Run** by a test" in text}
    source = (ROOT / "tests/integration/test_recipes.py").read_text(encoding="utf-8")
    assert by_test == set(re.findall(r'recipe\("([^"]+)"', source))
