"""There is one way to a form, and no way around it (security rule 6); what it takes, and what it refuses."""

import ast
import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from multidict import CIMultiDict

from gateway.errors import RequestRefused
from gateway.portal.forms import ForeignForm, PostedForm, confirmed, posted, posted_by_anyone
from gateway.portal.request import PortalRequest

ROOT = Path(__file__).resolve().parents[3] / "gateway"
PACKAGES = ("portal", "admin", "oidc")
TREES = {
    str(file.relative_to(ROOT)): ast.parse(file.read_text())
    for package in PACKAGES
    for file in sorted((ROOT / package).rglob("*.py"))
}

BY_ANYONE = {
    "TokenEndpointViews.token": "an app, by its secret or key",
    "PushedRequestView.push": "an app, by its secret or key",
    "TokenFacts.introspect": "an app, by its secret or key",
    "TokenFacts.revoke": "an app, by its secret or key",
    "TokenFacts.userinfo": "an app, by the access token in the form",
    "DeviceViews.start": "an app, by its secret or key",
    "AuthorizeViews.authorize": "an app's page, which sends a browser here; nothing happens without our own page",
    "EndSessionViews.submit": "an app's page; our own form is then `confirmed`",
    "ProviderViews.come_back_by_post": "an identity provider's page; the address that it leads to judges `state`",
    "BackchannelLogoutView.submit": "an identity provider, by its signature",
    "SmsViews.status": "the SMS provider, by its signature",
}
"""Views whose form does not come from a page of ours, and how the view knows who sent it."""

NO_FORM = {
    "Console.handle",
    "leave",
    "DeviceKeyViews.register",
    "DeviceKeyViews.refresh",
    "ClientRegistrationView.register",
}
"""POST views that read it elsewhere (the console, for all of its pages: `Console._form`), as JSON or not at all."""

JSON = {"admin/api/router.py": "_body", "oidc/registration_views.py": "_metadata"}
"""The API takes JSON, with the token in a header; apps that register describe themselves in it, and prove nothing."""

BODY = {"post", "read", "text", "json", "multipart", "content", "readany", "iter_any", "iter_chunked"}
MACHINE = re.compile(r"(machine|Machine\(.*\))\.views")
SOURCE = re.compile(r"(^|\.)(request|http|content)$")


def reads_a_body(tree: ast.AST) -> Iterator[int]:
    """Lines that get at a request's body by themselves."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in BODY and SOURCE.search(ast.unparse(node.value)):
            yield node.lineno
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "read_small":
            yield node.lineno


def constructed(tree: ast.AST, made_by: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Name of a variable -> class that it was made by, also in `a, b = A(), B()`; of a parameter -> its type.

    `made_by` has what functions beside it make.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.annotation is not None:
            yield node.arg, ast.unparse(node.annotation)
        if isinstance(node, ast.Assign):
            left, right = node.targets[0], node.value
            lefts = left.elts if isinstance(left, ast.Tuple) else [left]
            rights = right.elts if isinstance(right, ast.Tuple) else [right]
            for one, value in zip(lefts, rights, strict=False):
                if isinstance(value, ast.Call):
                    yield ast.unparse(one), made_by.get(name := ast.unparse(value.func), name)


def post_views(trees: dict[str, ast.Module]) -> Iterator[tuple[str, str]]:
    """(class, method) of everything that stands under "POST" in a table of views; ("", name) for a function."""
    for beside, scope in ((tree.body, node) for tree in trees.values() for node in tree.body):
        made_by = {
            one.name: ast.unparse(one.returns)
            for one in beside
            if isinstance(one, ast.FunctionDef) and one.returns is not None
        }
        made = dict(constructed(scope, made_by))
        for node in ast.walk(scope):
            found: list[ast.expr] = []
            if isinstance(node, ast.Dict):
                pairs = zip(node.keys, node.values, strict=True)
                found = [
                    value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "POST"
                ]
            elif isinstance(node, ast.Call) and MACHINE.fullmatch(ast.unparse(node.func)):
                found = node.args[:1] if "'POST'" in map(ast.unparse, node.args) else []
            for view in found:
                if isinstance(view, ast.Attribute):
                    yield made[ast.unparse(view.value)], view.attr
                else:
                    yield "", ast.unparse(view)


def calls(function: ast.AST) -> set[str]:
    return {
        ast.unparse(node.func).rpartition(".")[2] for node in ast.walk(function) if isinstance(node, ast.Call)
    }


def called_by(view: tuple[str, str], trees: dict[str, ast.Module]) -> set[str]:
    """What a view calls, itself or by functions and methods beside it."""
    owner, method = view
    [(file, home)] = [
        (tree, node)
        for tree in trees.values()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == owner
    ]
    beside = (*file.body, *home.body)
    functions = {
        node.name: node for node in beside if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
    }
    seen: set[str] = set()
    left = [method]
    while left:
        for name in calls(functions[left.pop()]) - seen:
            seen.add(name)
            left += [name] if name in functions else []
    return seen


def calls_of_methods(owner: str) -> set[str]:
    """What any method of a class calls, itself or by functions beside it."""
    [home] = [
        node
        for tree in TREES.values()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == owner
    ]
    methods = [node.name for node in home.body if isinstance(node, ast.AsyncFunctionDef)]
    return set().union(*(called_by((owner, method), TREES) for method in methods))


VIEWS = sorted(set(post_views(TREES)))


def test_a_body_is_read_in_one_place() -> None:
    found = {(name, line) for name, tree in TREES.items() for line in reads_a_body(tree)}
    for file, function in JSON.items():
        [reader] = [node for node in ast.walk(TREES[file]) if getattr(node, "name", "") == function]
        found -= {(file, line) for line in reads_a_body(reader)}
    assert {name for name, _ in found} == {"portal/forms.py"}, sorted(found)


@pytest.mark.parametrize("view", [view for view in VIEWS if view[0]], ids=".".join)
def test_every_view_that_takes_a_form_reads_it_as_one(view: tuple[str, str]) -> None:
    name = ".".join(view)
    if name in NO_FORM or view[0].endswith("Screens"):
        return  # a page of the console gets the form that Console._form has read
    expected = {"posted_by_anyone"} if name in BY_ANYONE else {"posted"}
    assert called_by(view, TREES) & {"posted", "posted_by_anyone"} == expected


def test_the_console_reads_the_form_of_all_its_pages() -> None:
    assert "posted" in called_by(("Console", "handle"), TREES)


def test_the_views_are_found() -> None:
    names = {".".join(view).lstrip(".") for view in VIEWS}
    assert {"LoginViews.submit", "AccessViews.decide", "UserScreens.act", *BY_ANYONE, *NO_FORM} <= names
    assert len(names) >= 28


def test_forms_of_others_are_read_where_we_say_so_and_nowhere_else() -> None:
    owners = {
        node.name
        for tree in TREES.values()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and "posted_by_anyone" in calls(tree)
    }
    readers = {owner for owner in owners if "posted_by_anyone" in calls_of_methods(owner)}
    assert readers == {name.partition(".")[0] for name in BY_ANYONE}


def test_the_rules_see_what_they_forbid() -> None:
    assert list(reads_a_body(ast.parse("form = await request.http.post()"))) == [1]
    assert list(reads_a_body(ast.parse("async for one in request.content.iter_any(): ..."))) == [1, 1]
    assert list(reads_a_body(ast.parse("body = await small_body.read_small(it, 9)"))) == [1]
    assert list(reads_a_body(ast.parse("request.http.query.get('text')"))) == []
    text = "class V:\n async def submit(self, request): ...\ndef f():\n v = V()\n return {'POST': v.submit}\n"
    trees = {"x.py": ast.parse(text)}
    assert list(post_views(trees)) == [("V", "submit")]
    assert called_by(("V", "submit"), trees) == set()


# -- what it takes and refuses ---------------------------------------------------------------------------------------


def asked(body: bytes, csrf: str = "t", **headers: str) -> PortalRequest:
    """A request to the portal that carries this body; `headers` with _ for -."""
    content = StreamReader(BaseProtocol(asyncio.get_running_loop()), 2**16)
    content.feed_data(body)
    content.feed_eof()
    sent = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    kind = sent.pop("Content-Type", "application/x-www-form-urlencoded")
    http = SimpleNamespace(content=content, content_type=kind, headers=sent)
    here = SimpleNamespace(scheme="https", authority="app.test")
    visit = SimpleNamespace(csrf=csrf)
    made: Callable[..., Any] = PortalRequest
    return cast(PortalRequest, made(http, here, visit, "id", None, "https://login.test/"))


async def test_a_form_of_this_browser_is_genuine() -> None:
    form = await posted(asked(b"csrf_token=t&name=Zo%C3%AB&empty="))
    assert form.genuine
    assert dict(form) == {"csrf_token": "t", "name": "Zoë", "empty": ""}


@pytest.mark.parametrize(
    ("body", "csrf"), [(b"a=1&csrf_token=x", "t"), (b"a=1", "t"), (b"a=1&csrf_token=", "")]
)
async def test_without_the_token_no_field_can_be_acted_on(body: bytes, csrf: str) -> None:
    form = await posted(asked(body, csrf))
    assert not form.genuine
    assert form.unproven["a"] == "1"
    acts: list[Callable[[PostedForm], object]] = [
        lambda form: form["a"],
        lambda form: form.get("a"),
        lambda form: "a" in form,
        lambda form: list(form),
        lambda form: len(form),
        lambda form: dict(form),
        lambda form: form.items() and list(form.items()),
    ]
    for act in acts:
        with pytest.raises(ForeignForm) as refused:
            act(form)
        assert refused.value.status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://app.test"},
        {"Origin": ""},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
    ids=str,
)
async def test_another_site_is_refused_before_its_form_is_read(headers: dict[str, str]) -> None:
    request = asked(b"csrf_token=t", **headers)
    with pytest.raises(ForeignForm):
        await posted(request)
    assert await request.http.content.read() == b"csrf_token=t"
    with pytest.raises(ForeignForm):
        confirmed(request, {"csrf_token": "t"})


@pytest.mark.parametrize("origin", ["https://app.test", "https://login.test"])
async def test_this_host_and_the_portal_are_our_own(origin: str) -> None:
    assert (await posted(asked(b"csrf_token=t", Origin=origin))).genuine


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"a=1&a=2", "", 400),
        (b"a=%FF", "", 400),
        (b"\xff=1", "", 400),
        (b"&".join(b"f%d=" % number for number in range(41)), "", 400),
        (b"a=" + b"x" * (64 * 1024), "", 413),
        (b'{"a": 1}', "application/json", 415),
        (b"a=1", "text/plain", 415),
    ],
    ids=["twice", "not UTF-8, escaped", "not UTF-8", "too many", "too large", "JSON", "plain"],
)
async def test_what_our_pages_do_not_send_is_refused(body: bytes, kind: str, status: int) -> None:
    headers = {"Content_Type": kind} if kind else {}
    for read in (posted, posted_by_anyone):
        with pytest.raises(RequestRefused) as refused:
            await read(asked(body, **headers))
        assert refused.value.status == status
