"""What of a SCIM user is ours, and how a user of ours is shown."""

import json
from typing import Any

import pytest

from gateway.model import User
from gateway.scim.models import POLICY, Context, ScimUser
from gateway.scim.user_facts import UserFacts, as_kept
from gateway.stores.protocols.scim import Provisioned
from tests.scim_rig import ENTERPRISE, user

FACTS = UserFacts(attributes={"team": "department", "lang": "locale"}, country="DE", base="https://h/scim/v2")
MIRA = User(
    "mira",
    name="Mira",
    email="mira@h.test",
    groups=("crew",),
    attributes=(("shift", ("night",)), ("team", ("old",))),
)


def read(**sent: Any) -> Any:
    return ScimUser.model_validate(
        user("mira", **sent), scim_ctx=Context.RESOURCE_CREATION_REQUEST, scim_policy=POLICY
    )


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ({"displayName": "Mira Quay", "name": {"formatted": "Other"}}, "Mira Quay"),
        ({"name": {"formatted": "Dr. Mira Quay", "givenName": "Mira"}}, "Dr. Mira Quay"),
        ({"name": {"givenName": "Mira", "familyName": "Quay"}}, "Mira Quay"),
        ({"name": {"familyName": "Quay"}}, "Quay"),
        ({}, ""),
    ],
)
def test_the_name_is_what_people_read(sent: dict[str, Any], name: str) -> None:
    assert FACTS.meant(read(**sent), MIRA).name == name


@pytest.mark.parametrize(
    ("numbers", "phone"),
    [
        ([("0151 12345670", "mobile", False), ("+49 30 1234567", "work", True)], "+4915112345670"),
        ([("+49 30 1234567", "work", False), ("+49 30 7654321", "home", True)], "+49307654321"),
        ([("none", "work", True)], ""),
        ([], ""),
    ],
)
def test_codes_go_to_the_mobile_number_and_never_to_what_is_none(numbers: list[Any], phone: str) -> None:
    sent = [{"value": value, "type": kind, "primary": primary} for value, kind, primary in numbers]
    assert FACTS.meant(read(phoneNumbers=sent), MIRA).phone == phone


def test_the_primary_address_counts_before_the_one_at_work() -> None:
    work, home = {"value": "w@h.test", "type": "work"}, {"value": "p@h.test", "type": "home"}
    assert FACTS.meant(read(emails=[home, work]), MIRA).email == "w@h.test"
    assert FACTS.meant(read(emails=[work, {**home, "primary": True}]), MIRA).email == "p@h.test"


def test_attributes_that_come_by_scim_are_replaced_and_others_stay() -> None:
    found = FACTS.meant(read(**{ENTERPRISE: {"department": "Ops"}, "locale": "de"}), MIRA)
    assert found.attributes == (("lang", ("de",)), ("shift", ("night",)), ("team", ("Ops",)))
    assert FACTS.meant(read(), MIRA).attributes == (("shift", ("night",)),)


def test_groups_and_whether_somebody_is_in_are_not_guessed() -> None:
    assert FACTS.meant(read(groups=[{"value": "1", "display": "admins"}]), MIRA).groups == ("crew",)
    off = User("mira", disabled=True)
    assert FACTS.meant(read(), off).disabled
    assert not FACTS.meant(read(active=True), off).disabled


def test_what_was_written_is_shown_again_as_long_as_it_is_true() -> None:
    sent = {"displayName": "Mira", "emails": [{"value": "mira@h.test", "type": "home"}], "title": "Captain"}
    known = Provisioned("user", "mira", "1", "ext", as_kept(read(**sent)), 5.0)
    shown = json.loads(FACTS.shown(MIRA, known, []).model_dump_json())
    assert (shown["emails"], shown["title"], shown["externalId"]) == (sent["emails"], "Captain", "ext")
    other = FACTS.shown(User("mira", name="Mira", email="new@h.test"), known, [])
    assert [(one.value, one.type) for one in other.emails] == [("new@h.test", "work")]
    assert FACTS.shown(User("mira"), known, []).display_name is None
