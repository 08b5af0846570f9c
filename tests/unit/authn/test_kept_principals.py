"""One proof stands for the requests of half a minute: of the same user, credential and address, and for no other."""

from gateway.authn.kept_principals import KEPT, KeptPrincipals
from gateway.model import User

ALICE = User("alice", groups=("staff",))


def test_requests_of_half_a_minute_share_what_is_made_for_their_principal() -> None:
    kept = KeptPrincipals()
    first = kept.get(ALICE, "token", "token:1", "192.0.2.1", 1000.0)
    assert kept.get(ALICE, "token", "token:1", "192.0.2.1", 1000.0 + KEPT - 1) is first
    later = kept.get(ALICE, "token", "token:1", "192.0.2.1", 1000.0 + KEPT)
    assert later is not first
    assert later.session.proven_at == {"token": 1000.0 + KEPT}


def test_a_clock_that_was_set_back_begins_anew() -> None:
    kept = KeptPrincipals()
    kept.get(ALICE, "token", "token:1", "192.0.2.1", 1000.0)
    assert kept.get(ALICE, "token", "token:1", "192.0.2.1", 900.0).session.proven_at == {"token": 900.0}


def test_another_address_credential_or_user_is_another_principal() -> None:
    kept = KeptPrincipals()
    first = kept.get(ALICE, "token", "token:1", "192.0.2.1", 1000.0)
    elsewhere = kept.get(ALICE, "token", "token:1", "192.0.2.2", 1000.0)
    assert (first.session.ip, elsewhere.session.ip) == ("192.0.2.1", "192.0.2.2")
    assert kept.get(ALICE, "token", "token:2", "192.0.2.1", 1000.0).session.sid == "token:2"
    changed = User("alice")
    assert kept.get(changed, "token", "token:1", "192.0.2.1", 1000.0).groups == ()


def test_many_addresses_do_not_make_it_large() -> None:
    kept = KeptPrincipals()
    for number in range(1000):
        kept.get(ALICE, "token", "token:1", f"192.0.2.{number}", 1000.0)
    assert len(kept._by_slot) <= 64
