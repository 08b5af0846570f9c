"""Where on earth an address is, by a MaxMind DB file (GeoLite2, GeoIP2, DB-IP …). Asks nobody on the network."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import maxminddb

from gateway.errors import ConfigError, Mistake
from gateway.model import IPAddress


@dataclass(frozen=True, slots=True)
class Location:
    """`country` is ISO 3166-1 alpha-2, "" if unknown."""

    country: str = ""
    latitude: float | None = None
    longitude: float | None = None


class Geo:
    """Without a file, every address is nowhere. Raises ConfigError for a file that can't be used."""

    def __init__(self, file: Path | None) -> None:
        self._reader = _open(file) if file else None

    def locate(self, address: IPAddress) -> Location:
        if self._reader is None:
            return Location()
        try:
            record = self._reader.get(str(address))
        except ValueError:  # an IPv6 address and a file that only knows IPv4
            return Location()
        if not isinstance(record, dict):
            return Location()
        country, point = _part(record, "country"), _part(record, "location")
        latitude, longitude = point.get("latitude"), point.get("longitude")
        if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
            return Location(str(country.get("iso_code", ""))[:8])
        return Location(str(country.get("iso_code", ""))[:8], float(latitude), float(longitude))

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()


def _part(record: object, key: str) -> dict[str, object]:
    """A mapping inside a record; databases differ in what they have."""
    part = cast("dict[str, object]", record).get(key)
    return cast("dict[str, object]", part) if isinstance(part, dict) else {}


def _open(file: Path) -> maxminddb.Reader:
    try:
        return maxminddb.open_database(file, maxminddb.MODE_MMAP)
    except (OSError, maxminddb.InvalidDatabaseError) as error:
        mistake = Mistake(str(file), 0, "risk.geoip_file", str(error), "name a MaxMind DB (.mmdb) file")
        raise ConfigError([mistake]) from None
