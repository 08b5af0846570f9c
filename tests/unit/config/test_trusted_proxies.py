"""`check` tells who trusts more than their own proxies."""

import pytest

from gateway.config.loader import read_text

WIDE = "is wider than private networks"


def warnings(networks: str) -> str:
    text = f"server: {{trusted_proxies: {networks}}}\nroutes: [{{host: app.test, upstream: 'http://127.0.0.1:9000'}}]\n"
    return "\n".join(str(one) for one in read_text(text, "config.yaml", {}).warnings)


@pytest.mark.parametrize(
    "network", ["173.245.48.0/20", "130.211.0.0/22", "2400:cb00::/32", "8.0.0.0/8", "128.0.0.0/1", "2000::/3"]
)
def test_a_wide_public_network_is_warned_of(network: str) -> None:
    assert WIDE in warnings(f"[10.0.0.1, '{network}']")


@pytest.mark.parametrize(
    "network",
    [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "fd00::/8",
        "fe80::/10",
        "127.0.0.0/8",
    ],
)
def test_private_networks_and_single_proxies_are_not(network: str) -> None:
    assert WIDE not in warnings(f"['{network}', 198.41.128.7, 130.211.0.0/24, '::1']")


def test_everyone_is_told_apart() -> None:
    assert "trusts everyone" in warnings("[0.0.0.0/0]")
