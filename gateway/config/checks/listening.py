"""Checks of where the gateway listens, and with which certificate files."""

from collections.abc import Iterator

from gateway.config import addresses
from gateway.config.checks.acme import acme
from gateway.config.checks.certificates import pair_problem
from gateway.config.checks.finding import Check, Finding
from gateway.config.schema import Config
from gateway.config.sections.server import PLAIN
from gateway.config.yaml_document import KeyPath


def listen(config: Config) -> Iterator[Finding]:
    """Find addresses that can't be listened on, and lists of them of which none serves anything."""
    server = config.server
    written = (server.listen,) if isinstance(server.listen, str) else server.listen
    base: KeyPath = ("server", "listen")
    if not written:
        yield Finding(base, "is an empty list", 'write "127.0.0.1:8080"')
    seen: dict[tuple[str, int], str] = {}
    for index, one in enumerate(written):
        path = base if isinstance(server.listen, str) else (*base, index)
        address = addresses.listen_address(one.removeprefix(PLAIN))
        if address is None or (one.startswith(PLAIN) and one.startswith(f"{PLAIN}unix:")):
            mend = 'write "127.0.0.1:8080", "[::1]:8080", ":80" (all addresses) or "unix:/run/gateway.sock"'
            yield Finding(path, f"`{one}` is not an address to listen on", mend)
            continue
        if address in seen and (address[1] or one.startswith("unix:")):  # port 0 is another one each time
            yield Finding(path, f"`{one}` is there twice (`{seen[address]}`)", "remove one of them")
        seen[address] = one
        if one.startswith(PLAIN) and server.tls is None:
            problem = f"`{one}` only redirects to https, which nothing here serves"
            yield Finding(path, problem, f"write `{one.removeprefix(PLAIN)}`, or set `server.tls`")
    if written and server.tls is not None and not server.main:
        problem = "only redirects to https: no address serves it"
        yield Finding(base, problem, 'add another one, such as ":443"')
    yield from _mixed(config)


def _mixed(config: Config) -> Iterator[Finding]:
    """Find what can't be told apart once it is bound: workers know a plain address by its port."""
    server, base = config.server, ("server", "listen")
    ports = {one.rpartition(":")[2] for one in server.plain} & {
        one.rpartition(":")[2] for one in server.main if not one.startswith("unix:")
    }
    if ports:
        problem = f"port {sorted(ports)[0]} both serves https and redirects to it, at different addresses"
        yield Finding(base, problem, "take two ports")
    if any(one.rpartition(":")[2] == "0" for one in server.plain):
        yield Finding(base, "is to redirect at any free port, which nobody could know", "write its number")
    if server.engine == "envoy" and len(server.main) > 1 and any(u.startswith("unix:") for u in server.main):
        problem = "has a unix socket beside other addresses, which Envoy can't serve as one"
        yield Finding(base, problem, "write one of the two, or remove `server.engine`")


def certificate(config: Config) -> Iterator[Finding]:
    """Find certificates and keys that are missing, can't be read, or don't fit together."""
    tls, base = config.server.tls, ("server", "tls")
    if tls is None:
        return
    files = {"cert_file": tls.cert_file, "key_file": tls.key_file}
    given = [name for name, file in files.items() if file is not None]
    if tls.acme is not None:
        for name in given:
            problem = "is given beside `acme`, which gets the certificate itself"
            yield Finding((*base, name), problem, "remove it, or `server.tls.acme`")
    elif not given:
        mend = "add `cert_file` and `key_file`, or `acme` (docs/certificates.md)"
        yield Finding(base, "names no certificate", mend)
    elif tls.cert_file is None or tls.key_file is None:
        missing = "key_file" if tls.key_file is None else "cert_file"
        yield Finding((*base, missing), f"is missing beside `{given[0]}`", f"add `{missing}`")
    elif problem_found := pair_problem(tls.cert_file, tls.key_file):
        yield Finding((*base, problem_found.key), problem_found.text, problem_found.mend)


LISTENING_CHECKS: tuple[tuple[frozenset[str], Check], ...] = (
    (frozenset({"server"}), listen),
    (frozenset({"server"}), certificate),
    (frozenset({"server", "routes", "domains"}), acme),
)
