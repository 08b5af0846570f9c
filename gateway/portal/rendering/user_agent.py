"""Names the browser behind a User-Agent header as people call it. For reading only: anybody can send any header."""

from gateway.i18n.text import N_

_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
"""In an order in which the first match is right: Edge says Chrome too, Android says Linux."""


def browser_name(user_agent: str) -> str:
    """Return "Firefox on Linux", or as much of it as can be told."""
    browser = _first(_BROWSERS, user_agent)
    system = _first(_SYSTEMS, user_agent)
    if browser and system:
        return N_("%(browser)s on %(system)s", browser=browser, system=system)
    return browser or system or user_agent.partition("/")[0][:40] or N_("Unknown device")


def _first(names: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for mark, name in names if mark in user_agent), "")
