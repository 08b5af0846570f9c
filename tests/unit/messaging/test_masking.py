import pytest

from gateway.messaging.addresses import mask_email, mask_phone


@pytest.mark.parametrize(
    ("phone", "shown"),
    [
        ("+4915112345678", "+49•••••678"),
        ("+15005550006", "+1•••••006"),
        ("+35312345678", "+353•••••678"),
        ("+290123456", "+290•••••"),  # six digits: three of them would be half of the number
        ("12345", "•••••"),
        ("", "•••••"),
        ("alice", "•••••"),
    ],
)
def test_a_phone_number_shows_its_country_and_its_end(phone: str, shown: str):
    assert mask_phone(phone) == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("alice@example.com", "a•••••@example.com"),
        ("a@example.com", "a•••••@example.com"),
        ('"odd@local"@example.com', '"•••••@example.com'),
        ("@example.com", "•••••"),
        ("alice", "•••••"),
        ("", "•••••"),
    ],
)
def test_a_mail_address_shows_its_first_letter_and_its_domain(address: str, shown: str):
    assert mask_email(address) == shown
