"""What a grant keeps of single claims that were asked for: those alone that its user has allowed."""

from gateway.config.sections.oidc import Oidc
from gateway.model import Principal, SessionRecord, User
from gateway.oidc.authorization_request import Return, SignInRequest
from gateway.oidc.claims import ClaimRules
from gateway.oidc.grants import asked_facts

RULES = ClaimRules(Oidc(claims={"department": "{user.department}"}))
WANTED = SignInRequest(
    back=Return(client_id="web", redirect_uri="https://app.example.com/cb", response_mode="query", state=""),
    scopes=("openid", "email"),
    nonce="",
    challenge="",
    silent=False,
    ask_consent=False,
    login_since=0.0,
    proof_since=0.0,
    acr="",
    login_hint="",
    subject="",
    asked_at=0.0,
    userinfo=("email", "department"),
    beyond=("department",),
)
ALICE = Principal(User("alice"), SessionRecord("s", "alice", ("password",), {"password": 0.0}, 0.0, 0.0, 1e9))


def test_a_claim_goes_with_the_scope_that_its_user_took_away() -> None:
    assert asked_facts(RULES, WANTED, ALICE, WANTED.scopes) == {
        "asked": {"userinfo": ["email", "department"]}
    }
    assert asked_facts(RULES, WANTED, ALICE, ("openid",)) == {"asked": {"userinfo": ["department"]}}
