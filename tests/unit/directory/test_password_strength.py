"""What may become a password: no rules of composition, and nothing that guessers try first (docs/passwords.md)."""

import pytest

from gateway.config.schema import PasswordRules
from gateway.directory.password_strength import PasswordStrength
from gateway.errors import WeakPassword
from gateway.model import User

ALICE = User("alice", name="Alice Liddell", email="a.liddell@wonderland.example")


async def refused(password: str, user: User = ALICE, **rules: object) -> str:
    """The sentence that the user reads, "" if the password is taken."""
    strength = PasswordStrength(
        PasswordRules.model_validate(rules), names=("Intranet Portal", "login.acme-tools.example")
    )
    try:
        await strength.check(password, user)
    except WeakPassword as weak:
        said = weak
    else:
        return ""
    assert not password or password not in str(said)
    return said.public


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        " ".join(f"{number} birds" for number in range(28)),
        "пароль-мой-длинный",
        "kq8vTz3w",
        "kqxvtzjw",
        "a b c d e g",
        "🐎🔋📎🌰🚲🎻🍋🏺",
    ],
)
async def test_any_long_uncommon_password_will_do(password: str) -> None:
    assert await refused(password) == ""


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("", "at least 8"),
        ("7letter", "at least 8"),
        ("e\u0301" * 7, "at least 8"),
        ("x7" * 128 + "x", "at most 256"),
        ("password1", "common"),
        ("PassWord1", "common"),
        ("\uff50assword1", "common"),
        ("12345678", "common"),
        ("zzzzzzzzzzzz", "common"),
        ("my-ALICE-secret", "username"),
    ],
)
async def test_a_weak_password_is_refused_with_the_reason(password: str, sentence: str) -> None:
    assert sentence in await refused(password)


@pytest.mark.parametrize(
    "password",
    [
        "Summer2026!",
        "Spring-2025",
        "Sommer2026!",
        "Frühling#26",
        "primavera2025",
        "Januar2026",
        "!!Friday13",
        "Liddell2026!",
        "Wonderland99",
        "Intranet2026",
        "AcmeTools1!",
        "acme-2026-!!",
        "AuthGateway1",
        "Beispiel2026",
    ],
)
async def test_seasons_months_and_names_with_a_number_are_refused(password: str) -> None:
    assert await refused(password, words=["Beispiel GmbH"]) != ""


@pytest.mark.parametrize(
    "password", ["qwertzuiop123", "1qaz2wsx3edc", "zxcvbnm,./", "asdfghjkl;'", "147258369"]
)
async def test_walks_over_the_keyboard_are_refused(password: str) -> None:
    assert await refused(password) != ""


@pytest.mark.parametrize(
    "password", ["liddell alice", "W0nderl4nd!", "hunter2hunter2", "wonderlandliddell", "ab12ab12ab12"]
)
async def test_names_and_words_in_disguise_are_refused(password: str) -> None:
    assert await refused(password) != ""


async def test_the_name_before_the_at_sign_counts_as_username() -> None:
    assert "username" in await refused("wonderland-bound", User("wonderland@example.com"))


async def test_a_username_of_two_letters_forbids_no_words() -> None:
    assert await refused("albatross in flight", User("al")) == ""


async def test_the_estimate_can_be_left_out_and_raised() -> None:
    assert await refused("qwertzuiop123", min_guesses=0) == ""
    assert await refused("correct horse", min_guesses=15) != ""
