"""Which models of keys count: lists, FIDO's metadata from a file, and what neither must believe."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from webauthn.helpers import bytes_to_base64url

from gateway.authn.factors.attestation import SIGNER, KeyApproval, key_approval
from gateway.authn.factors.base import Outcome
from gateway.authn.factors.preference import Preferences
from gateway.authn.factors.webauthn import WebAuthnFactor
from gateway.authn.factors.webauthn_relying_party import RegisteredKey
from gateway.config.sections.attestation import Attestation
from gateway.errors import ConfigError
from gateway.keyring import KeyRing
from gateway.stores.sql.credentials import SqlCredentials
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.ledger import SqlLedger
from tests.databases import give_schema
from tests.key_models import MODEL, NOW, OTHER, Issuer, Metadata, ModelKey
from tests.rig import FakeClock
from tests.software_key import SoftwareKey
from tests.unit.authn.test_webauthn import ALICE, PORTAL, SITE, Rig


@pytest.fixture
def metadata(tmp_path: Path) -> Metadata:
    return Metadata(tmp_path)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    url = f"sqlite:///{tmp_path}/keys.db"
    await give_schema(url)
    engine = open_engine(url)
    clock = FakeClock(NOW)
    ring = KeyRing.load_or_create(tmp_path / "session.keys", clock)
    credentials = SqlCredentials(engine, ring.seal, ring.open)
    yield Rig(
        WebAuthnFactor(credentials, SqlLedger(engine, clock), clock, SITE, Preferences(credentials, clock)),
        credentials,
    )
    await engine.dispose()


async def added(rig: Rig, key: SoftwareKey, approval: KeyApproval) -> Outcome:
    rig.factor._site = replace(SITE, approval=approval)
    setup = await rig.factor.enrol_begin(ALICE, {})
    asks = json.loads(setup.prompt.options).get("attestation", "none")
    assert asks == ("direct" if approval.any else "none")
    key.handle = _handle(setup.prompt.options)
    return await rig.factor.enrol_finish(
        ALICE, {"credential": key.registration(setup.prompt.options, PORTAL)}
    )


def _handle(options: str) -> bytes:
    text = json.loads(options)["user"]["id"]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def approval_of(settings: Attestation) -> KeyApproval:
    return key_approval(settings, FakeClock(NOW))


async def test_a_key_whose_maker_vouches_for_it_is_added_and_signs_in(rig: Rig, metadata: Metadata) -> None:
    approval = approval_of(metadata.written(metadata.entry(MODEL)))
    key = ModelKey(maker=metadata.maker)
    assert await added(rig, key, approval) is Outcome.RIGHT
    assert await rig.answered(key) is Outcome.RIGHT


@pytest.mark.parametrize(
    "key",
    [
        SoftwareKey(),
        ModelKey(),
        ModelKey(maker=Issuer.root("Somebody else")),
        ModelKey(model=OTHER),
    ],
    ids=["no attestation", "its own word", "another maker", "unknown model"],
)
async def test_a_key_that_nobody_vouches_for_is_not_added(
    rig: Rig, metadata: Metadata, key: SoftwareKey
) -> None:
    approval = approval_of(metadata.written(metadata.entry(MODEL)))
    assert await added(rig, key, approval) is Outcome.WRONG
    assert await rig.credentials.list("alice") == []


async def test_a_certificate_of_one_model_vouches_for_no_other(rig: Rig, metadata: Metadata) -> None:
    approval = approval_of(metadata.written(metadata.entry(MODEL), metadata.entry(OTHER)))
    key = ModelKey(maker=metadata.maker, model=MODEL, certified=OTHER)
    assert await added(rig, key, approval) is Outcome.WRONG


@pytest.mark.parametrize("status", ["REVOKED", "USER_KEY_REMOTE_COMPROMISE", "USER_VERIFICATION_BYPASS"])
async def test_a_model_that_is_compromised_counts_no_more_though_it_was_added_before(
    rig: Rig, metadata: Metadata, status: str
) -> None:
    key = ModelKey(maker=metadata.maker)
    assert await added(rig, key, approval_of(metadata.written(metadata.entry(MODEL)))) is Outcome.RIGHT
    newer = approval_of(metadata.written(metadata.entry(MODEL, "FIDO_CERTIFIED", status)))
    rig.factor._site = replace(SITE, approval=newer)
    assert await rig.answered(key) is Outcome.WRONG


async def test_keys_from_before_count_only_where_nothing_is_asked_of_them(
    rig: Rig, metadata: Metadata
) -> None:
    key = await rig.key_of("alice")
    assert await rig.answered(key) is Outcome.RIGHT
    rig.factor._site = replace(SITE, approval=approval_of(metadata.written(metadata.entry(MODEL))))
    assert await rig.answered(key) is Outcome.WRONG


@pytest.mark.parametrize(
    ("lists", "counts"),
    [
        ({"allow": [str(MODEL).upper()]}, True),
        ({"allow": [str(OTHER)]}, False),
        ({"deny": [str(MODEL)]}, False),
        ({"allow": [str(MODEL)], "deny": [str(MODEL)]}, False),
    ],
)
async def test_lists_let_models_count_or_not(
    rig: Rig, metadata: Metadata, lists: Mapping[str, Any], counts: bool
) -> None:
    approval = approval_of(metadata.written(metadata.entry(MODEL), metadata.entry(OTHER), **lists))
    outcome = await added(rig, ModelKey(maker=metadata.maker), approval)
    assert (outcome is Outcome.RIGHT) is counts


async def test_a_denied_model_is_refused_without_metadata_too(rig: Rig) -> None:
    approval = approval_of(Attestation.model_validate({"deny": [str(MODEL)]}))
    assert await added(rig, ModelKey(), approval) is Outcome.WRONG
    assert await added(rig, ModelKey(model=OTHER), approval) is Outcome.RIGHT


BY_RULES = {"required": "by_rules"}


@pytest.mark.parametrize(
    ("key", "vouched"),
    [(SoftwareKey(), False), (ModelKey(), False), (ModelKey(model=OTHER), False), (None, True)],
    ids=["no attestation", "its own word", "unknown model", "its maker's word"],
)
async def test_where_only_rules_ask_for_models_every_key_counts_and_only_makers_say_which_it_is(
    rig: Rig, metadata: Metadata, key: SoftwareKey | None, vouched: bool
) -> None:
    approval = approval_of(metadata.written(metadata.entry(MODEL), **BY_RULES))
    key = key or ModelKey(maker=metadata.maker)
    assert await added(rig, key, approval) is Outcome.RIGHT
    assert rig.factor.model_used(ALICE.sid) == (str(MODEL) if vouched else "")
    assert await rig.factor.has_model(ALICE.user, ["*"]) is vouched
    assert await rig.factor.has_model(ALICE.user, [str(MODEL)]) is vouched
    assert not await rig.factor.has_model(ALICE.user, [str(OTHER)])
    assert await rig.answered(key) is Outcome.RIGHT
    assert rig.factor.model_used(ALICE.sid) == (str(MODEL) if vouched else "")
    assert rig.factor.model_used(ALICE.sid) == ""  # it is told once


@pytest.mark.parametrize(
    "key",
    [ModelKey(maker=Issuer.root("Somebody else")), "another model's"],
    ids=["another maker", "another model's certificate"],
)
async def test_a_false_word_of_a_maker_is_believed_nowhere(
    rig: Rig, metadata: Metadata, key: ModelKey | str
) -> None:
    approval = approval_of(metadata.written(metadata.entry(MODEL), metadata.entry(OTHER), **BY_RULES))
    made = key if isinstance(key, ModelKey) else ModelKey(maker=metadata.maker, certified=OTHER)
    await added(rig, made, approval)
    assert not await rig.factor.has_model(ALICE.user, ["*"])


async def test_a_model_that_is_compromised_later_is_asked_for_in_vain(rig: Rig, metadata: Metadata) -> None:
    key = ModelKey(maker=metadata.maker)
    assert (
        await added(rig, key, approval_of(metadata.written(metadata.entry(MODEL), **BY_RULES)))
        is Outcome.RIGHT
    )
    newer = approval_of(metadata.written(metadata.entry(MODEL, "FIDO_CERTIFIED", "REVOKED"), **BY_RULES))
    rig.factor._site = replace(SITE, approval=newer)
    assert not await rig.factor.has_model(ALICE.user, ["*"])


def test_a_stored_key_is_as_older_code_reads_it_unless_its_model_was_asked_for() -> None:
    plain = RegisteredKey(b"i", b"p", b"h")
    assert set(json.loads(plain.packed())) == {"id", "public", "handle"}
    asked = replace(plain, aaguid=MODEL.bytes, attested=b"1")
    assert RegisteredKey.unpacked(asked.packed()) == asked


def test_a_root_that_cannot_be_read_costs_its_own_model_alone(metadata: Metadata) -> None:
    """FIDO's blob no. 291 has one whose ASN.1 is not what X.509 says."""
    odd = metadata.entry(OTHER)
    odd["metadataStatement"]["attestationRootCertificates"] = ["MAAA", "not base64!", 7]
    approval = approval_of(metadata.written(odd, metadata.entry(MODEL)))
    assert approval.roots_of(str(MODEL))
    assert not approval.roots_of(str(OTHER))
    assert approval.vouched(MODEL.bytes, attested=True)


def test_a_blob_signed_with_rsa_as_fidos_is(metadata: Metadata) -> None:
    middle = metadata.root.issue("Middle", ca=True)
    signer = middle.issue("Signer", host=SIGNER, key=rsa.generate_private_key(65537, 2048))
    approval = approval_of(metadata.written(metadata.entry(MODEL), signer=signer, between=middle))
    assert set(approval.roots or ()) == {str(MODEL)}


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("changed", "signature is wrong"),
        ("another root", "don't lead to the root"),
        ("another host", "not signed by mds"),
        ("expired", "not valid now"),
        ("a leaf that issues", "not issued by the next"),
        ("no JWT", ""),
        ("algorithm none", "signed by none"),
    ],
)
def test_a_blob_that_is_not_fidos_stops_the_start(metadata: Metadata, fault: str, why: str) -> None:
    middle = metadata.root.issue("Middle", ca=fault != "a leaf that issues")
    host = "mds.example.org" if fault == "another host" else SIGNER
    signer = middle.issue("Signer", host=host, until=NOW - 60 if fault == "expired" else NOW + 86400)
    settings = metadata.written(metadata.entry(MODEL), signer=signer, between=middle)
    file = metadata.folder / "blob.jwt"
    head, payload, signature = file.read_text().split(".")
    if fault == "changed":
        said = json.loads(base64.urlsafe_b64decode(payload + "=="))
        said["entries"][0]["aaguid"] = str(OTHER)
        file.write_text(f"{head}.{bytes_to_base64url(json.dumps(said).encode())}.{signature}")
    elif fault == "another root":
        (metadata.folder / "root.pem").write_bytes(Issuer.root("Other").pem)
    elif fault == "no JWT":
        file.write_text("blob")
    elif fault == "algorithm none":
        header = json.loads(base64.urlsafe_b64decode(head + "==")) | {"alg": "none"}
        file.write_text(f"{bytes_to_base64url(json.dumps(header).encode())}.{payload}.")
    with pytest.raises(ConfigError, match=f"no metadata that can be trusted: .*{why}"):
        approval_of(settings)
