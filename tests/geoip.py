"""A MaxMind DB of a few networks, for what depends on where an address is."""

from pathlib import Path

from mmdb_writer import MMDBWriter
from netaddr import IPSet

NAMES = {"DE": {"en": "Germany", "de": "Deutschland"}}
CITIES = {"DE": {"en": "Berlin"}, "JP": {"en": "Tokyo", "de": "Tokio"}}


def geoip_file(folder: Path) -> Path:
    file = folder / "city.mmdb"
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="GeoLite2-City")
    for network, country, latitude, longitude in (
        ("203.0.113.0/24", "DE", 52.52, 13.40),
        ("198.51.100.0/24", "JP", 35.68, 139.69),
        ("2001:db8::/32", "FR", 48.86, 2.35),
    ):
        record = {
            "country": {"iso_code": country, "names": NAMES.get(country, {})},
            "city": {"names": CITIES.get(country, {})},
            "location": {"latitude": latitude, "longitude": longitude},
        }
        writer.insert_network(IPSet([network]), record)
    writer.insert_network(IPSet(["192.0.2.0/24"]), {"continent": {"code": "EU"}})
    writer.to_db_file(str(file))
    return file
