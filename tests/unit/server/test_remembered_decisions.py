"""What policy said of a request is said again of another only if no rule could tell the two apart."""

from typing import Any

import pytest

from gateway.config.schema import Route
from gateway.forwardauth.engine_pass import is_settled
from gateway.policy.criteria import CRITERIA
from gateway.server.fastpath.header_plans import depends_on_headers_only, depends_on_moment

OF_THE_REQUEST_LINE = {
    "hosts": ["a.test"],
    "paths": ["/x"],
    "query": [{"a": {"present": True}}],
    "methods": ["GET"],
}
OF_THE_MOMENT: dict[str, Any] = {"times": {"hours": ["08:00-18:00"], "timezone": "UTC"}, "max_age": "5m"}
OF_HEADERS = {"networks": ["10.0.0.0/8"], "countries": ["DE"]}
OF_THE_USER = {"users": ["alice"], "groups": ["staff"], "attributes": {"department": ["ops"]}}
ALL: dict[str, Any] = {**OF_THE_REQUEST_LINE, **OF_THE_MOMENT, **OF_HEADERS, **OF_THE_USER}


def route(key: str) -> Route:
    rules = [{key: ALL[key], "require": "one_factor"}, {"require": "two_factor"}]
    return Route.model_validate({"upstream": "http://127.0.0.1:1", "rules": rules})


def test_every_criterion_is_known_here() -> None:
    assert {one.key for one in CRITERIA} | {"max_age"} == ALL.keys()


@pytest.mark.parametrize("key", ALL)
def test_the_fast_path_remembers_only_what_hangs_on_headers_and_user(key: str) -> None:
    assert depends_on_headers_only(route(key)) == (key in {**OF_HEADERS, **OF_THE_USER})


@pytest.mark.parametrize("key", ALL)
def test_a_pass_holds_only_what_hangs_on_the_user(key: str) -> None:
    assert is_settled(route(key)) == (key in OF_THE_USER)


@pytest.mark.parametrize("key", ALL)
def test_what_hangs_on_the_moment_is_decided_each_time(key: str) -> None:
    assert depends_on_moment(route(key)) == (key in OF_THE_MOMENT)
