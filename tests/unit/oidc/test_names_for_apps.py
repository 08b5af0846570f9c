"""What apps call users by: pairwise or public, and whether a name from before is still of the same person."""

from gateway.config.sections.oidc import OidcClient
from gateway.model import User
from gateway.oidc.clients import Client
from gateway.oidc.subjects import NamesForApps

ALICE, NEXT = User("alice", directory_id="uuid-1"), User("alice", directory_id="uuid-2")


class FixedSubjects:
    async def of(self, username: str, directory_id: str) -> str:
        return f"opaque-{username}-{directory_id}"

    async def secret(self) -> bytes:
        return b"s" * 32


def client(id: str, host: str, kind: str = "pairwise") -> Client:
    uris = (f"https://{host}/cb",)
    return Client(OidcClient.model_validate({"id": id, "redirect_uris": uris, "subject_type": kind}))


async def test_a_name_is_of_the_same_person_through_a_change_of_the_clients_kind_and_of_nobody_else() -> None:
    names = NamesForApps(FixedSubjects(), by_name=False)
    public, pairwise = client("a", "a.example.com", "public"), client("a", "a.example.com")
    before, after = await names.of_user(public, ALICE), await names.of_user(pairwise, ALICE)
    assert before == "opaque-alice-uuid-1" != after
    for subject in (before, after):
        assert await names.is_same(pairwise, ALICE, subject)
        assert not await names.is_same(pairwise, NEXT, subject)
    assert not await names.is_same(client("b", "b.example.com"), ALICE, after)


async def test_apps_with_usernames_keep_them_and_pairwise_ones_never_see_them() -> None:
    names = NamesForApps(FixedSubjects(), by_name=True)
    assert await names.of_user(client("a", "a.example.com", "public"), ALICE) == "alice"
    hidden = await names.of_user(client("a", "a.example.com"), ALICE)
    assert hidden != await names.of_user(client("a", "a.example.com"), NEXT), (
        "nor does the next one of this name"
    )
