"""Locates addresses in a MaxMind DB file (GeoLite2, GeoIP2, DB-IP …). Asks nobody on the network."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import maxminddb

from gateway.config.countries import asks_countries
from gateway.config.schema import Config
from gateway.errors import ConfigError, Mistake
from gateway.model import IPAddress
from gateway.request.target import CountryOf, nowhere


@dataclass(frozen=True, slots=True)
class Location:
    """Where an address is. `country` is ISO 3166-1 alpha-2, "" if unknown."""

    country: str = ""
    latitude: float | None = None
    longitude: float | None = None


class Geo:
    """A database of places; without a file every address is nowhere. Raises ConfigError for a file that can't be
    used.
    """

    def __init__(self, file: Path | None) -> None:
        self._reader = _open(file) if file else None
        self.has_file = file is not None

    def locate(self, address: IPAddress) -> Location:
        """Return where an address is, as far as the file knows."""
        record = self._record(str(address))
        country, point = _part(record, "country"), _part(record, "location")
        latitude, longitude = point.get("latitude"), point.get("longitude")
        if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
            return Location(str(country.get("iso_code", ""))[:8])
        return Location(str(country.get("iso_code", ""))[:8], float(latitude), float(longitude))

    def country(self, address: IPAddress) -> str:
        """Return the ISO 3166-1 alpha-2 code of an address, "" if unknown."""
        return self.locate(address).country

    def place(self, address: str, lang: str) -> str:
        """Return city and country for people in language `lang`, as far as the file knows them; "" for neither, or no
        address.
        """
        record = self._record(address)
        country = _part(record, "country")
        names = (_name(_part(record, "city"), lang), _name(country, lang) or str(country.get("iso_code", "")))
        return ", ".join(name[:100] for name in names if name)

    def _record(self, address: str) -> object:
        try:
            return self._reader.get(address) if self._reader else None
        except ValueError:  # no address, or an IPv6 one and a file that only knows IPv4
            return None

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()


def _part(record: object, key: str) -> dict[str, object]:
    """A mapping inside a record; databases differ in what they have."""
    part = cast("dict[str, object]", record).get(key) if isinstance(record, dict) else None
    return cast("dict[str, object]", part) if isinstance(part, dict) else {}


def _name(part: dict[str, object], lang: str) -> str:
    """The name in this language, else in English; files have `pt-BR` and `zh-CN` (which is zh-Hans) beside plain
    languages.
    """
    names = _part(part, "names")
    return str(names.get("zh-CN" if lang == "zh-Hans" else lang) or names.get("en") or "")


def _open(file: Path) -> maxminddb.Reader:
    try:
        return maxminddb.open_database(file, maxminddb.MODE_MMAP)
    except (OSError, maxminddb.InvalidDatabaseError) as error:
        mistake = Mistake(
            file=str(file),
            line=0,
            key="risk.geoip_file",
            problem=str(error),
            mend="name a MaxMind DB (.mmdb) file",
        )
        raise ConfigError([mistake]) from None


def country_finder(config: Config, geo: Geo) -> CountryOf:
    """Return the function that finds a request's country; it looks nothing up where no rule asks."""
    return geo.country if asks_countries(config) else nowhere
