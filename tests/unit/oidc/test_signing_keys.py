from pathlib import Path

from gateway.oidc.signing_keys import SigningKeys
from tests.rig import FakeClock

ANNOUNCE, LONGEST = 1000.0, 3600.0


def test_a_new_key_is_published_before_it_signs_and_an_old_one_until_its_tokens_are_over(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    keys = SigningKeys(tmp_path / "oidc.keys", clock, announce=ANNOUNCE)
    first = keys.signing
    clock.advance(5000)
    fresh = keys.rotate(LONGEST)
    assert [key.ec.kid for key in keys.keys] == [fresh.ec.kid, first.ec.kid]
    assert keys.signing.ec.kid == first.ec.kid
    clock.advance(ANNOUNCE)
    assert keys.signing.ec.kid == fresh.ec.kid
    clock.advance(LONGEST - 10)
    assert first.rsa.kid in [key.rsa.kid for key in (keys.rotate(LONGEST), *keys.keys)]
    clock.advance(20)
    keys.rotate(LONGEST)
    assert first.rsa.kid not in [key.rsa.kid for key in keys.keys]
    assert fresh.rsa.kid in [key.rsa.kid for key in keys.keys]


def test_several_rotations_in_a_row_never_drop_the_key_that_signs(tmp_path: Path) -> None:
    clock = FakeClock()
    keys = SigningKeys(tmp_path / "oidc.keys", clock, announce=ANNOUNCE)
    signing = keys.signing
    for _ in range(4):
        clock.advance(1)
        keys.rotate(LONGEST)
    assert keys.signing.ec.kid == signing.ec.kid


def test_the_file_is_for_our_eyes_only_and_another_process_is_followed(tmp_path: Path) -> None:
    clock = FakeClock()
    path = tmp_path / "oidc.keys"
    mine, other = (SigningKeys(path, clock, announce=0.0) for _ in range(2))
    assert path.stat().st_mode & 0o777 == 0o600
    clock.advance(10)
    fresh = other.rotate(LONGEST)
    clock.advance(2)
    assert mine.signing.ec.kid == fresh.ec.kid
    assert "d=" not in repr(fresh)
