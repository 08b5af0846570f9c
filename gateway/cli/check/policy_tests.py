"""Policy tests: what is expected of the rules, kept in a file beside the configuration and run by `check`.

Like `check --explain` they ask the rules and look nobody up: each test says who somebody is and what they proved.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from gateway.cli.check.explain import Supposed, answer, as_text, parse_moment
from gateway.config.schema import Config, Section
from gateway.config.sections.policy import FactorName
from gateway.config.units import Duration
from gateway.config.yaml_document import Document, KeyPath, parse, yaml_text
from gateway.errors import ConfigError, Mistake
from gateway.request.target import CountryOf

Url = Annotated[str, StringConstraints(pattern=r"^https?://[^/]+")]


class PolicyTest(Section):
    """One expectation. Without `user` nobody is signed in."""

    url: Url
    expect: Literal["allow", "sign_in", "step_up", "deny", "refused"]
    rule: str = Field("", description="the rule that must decide")
    reason: str = Field("", description="the reason that must be given")
    name: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()
    factors: tuple[FactorName, ...] = ("password", "sms")
    age: Duration = Field(0.0, description="how long ago the factors were proven")
    ip: str = "127.0.0.1"
    method: str = "GET"
    at: str = Field("", description="ISO 8601; default now")


def run_policy_tests(config: Config, file: Path, now: float, country_of: CountryOf) -> int:
    """How many there are, all passed. Raises ConfigError with every failure and every test that can't be read."""
    document = parse(yaml_text(file), str(file))
    tests = document.values.get("tests")
    if not isinstance(tests, list) and not document.mistakes:
        document.add((), "must be a list of tests", "start with `tests:`")
    for number, values in enumerate(tests if isinstance(tests, list) else []):
        test = _read(document, ("tests", number), values)
        if test is not None:
            _judge(config, document, ("tests", number), test, now, country_of)
    if document.mistakes:
        raise ConfigError(document.mistakes)
    return len(tests) if isinstance(tests, list) else 0


def _read(document: Document, place: KeyPath, values: object) -> PolicyTest | None:
    try:
        return PolicyTest.model_validate(values)
    except ValidationError as error:
        for one in error.errors(include_url=False):
            document.add((*place, *one["loc"][:1]), one["msg"])
        return None


def _judge(
    config: Config,
    document: Document,
    place: KeyPath,
    test: PolicyTest,
    now: float,
    country_of: CountryOf,
) -> None:
    try:
        at = parse_moment(test.at, now)
        proven = {str(factor): at - test.age for factor in test.factors}
        supposed = Supposed(
            url=test.url,
            user=test.user,
            ip=test.ip,
            method=test.method,
            groups=test.groups,
            proven=proven,
            now=at,
        )
        report = answer(config, supposed, country_of)
    except ValueError as error:
        document.add(place, str(error))
        return
    wanted = {"verdict": test.expect, "rule": test.rule, "reason": test.reason}
    wrong = {key: value for key, value in wanted.items() if value and report.get(key, "") != value}
    if wrong:
        got = ", ".join(f"{key} is {report.get(key, '')}, not {value}" for key, value in wrong.items())
        why = as_text(report).replace("\n", "\n    ")
        mend = f"change a rule or the expectation:\n    {why}"
        mistake = Mistake(
            file=document.file, line=document.line(place), key=test.name or test.url, problem=got, mend=mend
        )
        document.mistakes.append(mistake)
