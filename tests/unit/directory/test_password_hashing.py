"""Hashing, verifying and judging passwords."""

import asyncio
from collections.abc import Iterator

import bcrypt
import pytest
from passlib.hash import apr_md5_crypt, pbkdf2_sha512, scrypt, sha256_crypt, sha512_crypt

from gateway.config.schema import PasswordRules as Settings
from gateway.directory.password_hashing import PasswordHashing, is_supported
from gateway.errors import Overloaded

PASSWORD = "correct horse battery"


@pytest.fixture
def passwords() -> Iterator[PasswordHashing]:
    passwords = PasswordHashing(Settings(argon2_memory=64 * 1024, argon2_passes=1))
    yield passwords
    passwords.close()


async def test_a_hash_names_argon2id_and_the_configured_parameters(passwords: PasswordHashing) -> None:
    first, second = await passwords.hash(PASSWORD), await passwords.hash(PASSWORD)
    assert first.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert first != second


async def test_only_the_right_password_verifies(passwords: PasswordHashing) -> None:
    hash = await passwords.hash(PASSWORD)
    assert await passwords.verify(PASSWORD, hash)
    assert not await passwords.verify(PASSWORD + " ", hash)
    assert not await passwords.verify("", hash)


async def test_the_default_parameters_are_owasps() -> None:
    passwords = PasswordHashing(Settings())
    hash = await passwords.hash(PASSWORD)
    passwords.close()
    assert hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_another_keyboards_spelling_of_the_password_verifies(passwords: PasswordHashing) -> None:
    hash = await passwords.hash("Cafe\u0301 au lait")
    assert await passwords.verify("Caf\u00e9 au lait", hash)


@pytest.mark.parametrize(
    "hash",
    [
        bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode(),
        bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$"),
        sha512_crypt.using(rounds=1000).hash(PASSWORD),
        sha256_crypt.using(rounds=1000).hash(PASSWORD),
        apr_md5_crypt.hash(PASSWORD),
        pbkdf2_sha512.using(rounds=1000).hash(PASSWORD),
        scrypt.using(rounds=10).hash(PASSWORD),
    ],
    ids=["bcrypt", "bcrypt of htpasswd", "sha512-crypt", "sha256-crypt", "apr1", "pbkdf2", "scrypt"],
)
async def test_imported_hashes_verify_and_want_a_rehash(passwords: PasswordHashing, hash: str) -> None:
    assert is_supported(hash)
    assert await passwords.verify(PASSWORD, hash)
    assert not await passwords.verify("wrong", hash)
    assert not await passwords.verify("wr\0ng", hash)
    assert passwords.needs_rehash(hash)


async def test_bcrypt_compares_the_72_bytes_that_htpasswd_kept(passwords: PasswordHashing) -> None:
    hash = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    assert await passwords.verify("x" * 80, hash)


@pytest.mark.parametrize(
    "hash",
    [
        "",
        PASSWORD,
        "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "rqXexS6ZhobKA",
        "$1$abc$def",
        "$2b$31$" + "a" * 53,
        "$argon2id$v=19$m=64,t=1,p=1$short",
        "$argon2id$v=19$m=99999999,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$" + "a" * 43,
        "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$" + "a" * 43,
        "$6$rounds=999999999$salt$" + "a" * 86,
    ],
)
async def test_other_hashes_are_unsupported_and_verify_nothing(passwords: PasswordHashing, hash: str) -> None:
    assert not is_supported(hash)
    assert not await passwords.verify(PASSWORD, hash)


async def test_a_damaged_hash_verifies_nothing(passwords: PasswordHashing) -> None:
    hash = await passwords.hash(PASSWORD)
    assert not await passwords.verify(PASSWORD, hash[:-4] + "AAAA")
    assert not await passwords.verify(PASSWORD, hash[:-3])


async def test_only_other_parameters_want_a_rehash(passwords: PasswordHashing) -> None:
    hash = await passwords.hash(PASSWORD)
    stronger = PasswordHashing(Settings(argon2_memory=128 * 1024, argon2_passes=1))
    assert not passwords.needs_rehash(hash)
    assert stronger.needs_rehash(hash)
    stronger.close()


async def test_the_dummy_is_never_right(passwords: PasswordHashing) -> None:
    assert await passwords.dummy_verify() is False


async def test_a_huge_password_is_refused_without_hashing_it_all(passwords: PasswordHashing) -> None:
    assert not await passwords.verify("x" * 10_000_000, await passwords.hash(PASSWORD))


async def test_the_event_loop_runs_while_passwords_are_hashed() -> None:
    slow = PasswordHashing(Settings(argon2_memory=16 * 1024 * 1024, argon2_passes=4))
    hashing = asyncio.create_task(slow.hash(PASSWORD))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0)
        turns += 1
    slow.close()
    assert turns > 10


async def test_a_flood_of_checks_is_turned_away_and_ends_with_the_flood() -> None:
    passwords = PasswordHashing(Settings(argon2_memory=64 * 1024, argon2_passes=1, concurrency=1, queue=3))
    hash = await passwords.hash(PASSWORD)
    flood = await asyncio.gather(
        *(passwords.verify(PASSWORD, hash) for _ in range(9)), return_exceptions=True
    )
    assert [one for one in flood if one is True] == [True] * 4
    assert sum(isinstance(one, Overloaded) for one in flood) == 5
    assert await passwords.verify(PASSWORD, hash)
    passwords.close()
