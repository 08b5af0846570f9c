"""TinyAuth: users as `name:bcrypt[:totp]` in an environment file or a file of users, and where it was reached."""

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from gateway.cli.importers.findings import THIS_MACHINE, Found, ImportedTotp, LeftOut, Values, listen
from gateway.directory.password_hashing import is_supported
from gateway.directory.user_files import BadLine, ImportedUser
from gateway.model import User

_USERS = ("USERS", "TINYAUTH_USERS", "TINYAUTH_AUTH_USERS")
_URL = ("APP_URL", "TINYAUTH_APP_URL", "TINYAUTH_APPURL")
_LIMITS = (
    *("USERS_ALLOW", "USERS_BLOCK", "OAUTH_WHITELIST", "OAUTH_GROUPS", "LDAP_GROUPS"),
    *("IP_ALLOW", "IP_BLOCK", "IP_BYPASS", "PATH_ALLOW", "PATH_BLOCK"),
)
_MEND = (
    "says who may pass; routes are not taken over, so write it into the policy of the app's route and take the "
    "variable out of the file that is read"
)
_NO_MATTER = (
    "SECRET",
    "PORT",
    "ADDRESS",
    "LOG_LEVEL",
    "SECURE_COOKIE",
    "COOKIE_SECURE",
    "DISABLE_CONTINUE",
    "APP_TITLE",
)


def read_configuration(values: Mapping[str, str], users_file: str = "") -> Found:
    """Users, their apps and where it was reached. Who may open which app was said for each app: that stops it."""
    listed = next((values[name] for name in _USERS if values.get(name)), "")
    people, apps = _people([*listed.split(","), *users_file.splitlines()])
    url = urlsplit(next((values[name] for name in _URL if values.get(name)), ""))
    config: Values = {
        "server": {"listen": listen(f":{values.get('PORT', '')}", 3000), "trusted_proxies": THIS_MACHINE}
    }
    if url.hostname:
        config["server"]["public_url"] = f"{url.scheme}://{url.netloc}"
        parent = url.hostname.partition(".")[2]
        if "." in parent:
            config["session"] = {"domain": parent}
    left_out = [
        LeftOut("server.trusted_proxies", "name your proxies: only those on this machine are believed"),
        LeftOut("routes", "TinyAuth let every user into every app: name your apps' hosts and who may enter"),
        *_not_read(values),
    ]
    if not url.hostname:
        why = "not given, so server.public_url is http://localhost:8080: write the address that people use"
        left_out.append(LeftOut("APP_URL", why))
    stops = tuple(LeftOut(name, _MEND) for name in values if _limits(name) and values[name])
    return Found(people=people, apps=apps, config=config, left_out=tuple(left_out), stops=stops)


def _limits(name: str) -> bool:
    """Whether a variable says who may pass, such as TINYAUTH_APPS_WIKI_USERS_ALLOW or OAUTH_WHITELIST."""
    return name.endswith(_LIMITS) or any(f"{part}_" in name for part in ("IP_ALLOW", "IP_BLOCK"))


def _people(lines: list[str]) -> tuple[tuple[ImportedUser | BadLine, ...], tuple[ImportedTotp, ...]]:
    people: list[ImportedUser | BadLine] = []
    apps: list[ImportedTotp] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, _, rest = line.strip().replace("$$", "$").partition(":")
        hash, _, secret = rest.partition(":")
        if not name or not is_supported(hash):
            people.append(BadLine(number, f"{name or 'a line'}: not username, colon, bcrypt hash"))
            continue
        people.append(ImportedUser(number, User(name, password_hash=hash)))
        if secret.strip():
            apps.append(ImportedTotp(name, secret.strip()))
    return tuple(people), tuple(apps)


def _not_read(values: Mapping[str, str]) -> Iterator[LeftOut]:
    for name in values:
        plain = name.removeprefix("TINYAUTH_")
        if _limits(name):
            continue
        if name not in (*_USERS, *_URL) and plain not in _NO_MATTER and "USERS_FILE" not in name:
            yield LeftOut(name, "not read: set it up by hand if you need it")
