"""What a filter asks for in any case, so that few are looked at."""

import pytest
from scim2_models import ScimFilter

from gateway.scim.queries import Lookup, lookup

USERS = {
    'userName eq "a"': Lookup("name", "a"),
    'USERNAME eq "a"': Lookup("name", "a"),
    'id eq "1" and active eq true': Lookup("id", "1"),
    'active eq true and externalId eq "x"': Lookup("external_id", "x"),
    'emails eq "a@b.test"': Lookup("email", "a@b.test"),
    'emails.value eq "a@b.test"': Lookup("email", "a@b.test"),
    'emails[type eq "work" and value eq "a@b.test"]': Lookup("email", "a@b.test"),
    'emails[value eq "a@b.test"]': Lookup("email", "a@b.test"),
    'emails[type eq "work"]': None,
    'emails[type eq "work" or value eq "a@b.test"]': None,
    'userName ne "a"': None,
    'userName co "a"': None,
    'not (userName eq "a")': None,
    'userName eq "a" or userName eq "b"': None,
    'displayName eq "a"': None,
    "userName pr": None,
    "active eq true": None,
}
GROUPS = {
    'displayName eq "crew"': Lookup("name", "crew"),
    'externalId eq "g"': Lookup("external_id", "g"),
    'members.value eq "1"': None,
    'userName eq "a"': None,
}


@pytest.mark.parametrize(("text", "found"), USERS.items())
def test_a_filter_of_users_is_looked_up_where_it_asks_for_an_equality(
    text: str, found: Lookup | None
) -> None:
    assert lookup(ScimFilter(text).ast, "user") == found


@pytest.mark.parametrize(("text", "found"), GROUPS.items())
def test_a_filter_of_groups_too(text: str, found: Lookup | None) -> None:
    assert lookup(ScimFilter(text).ast, "group") == found
