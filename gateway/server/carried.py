"""Answers Envoy, our front door, that asks whether it may carry a request by itself (`engines.front_carried`).

A yes is the fast path's yes: plain requests of sessions that this worker knows. It names the route, and how the headers
that the client sent become those that an app gets from our own proxy. Anything else is no refusal: the request then
comes to a worker whole, which refuses, asks to sign in, keeps the form, or does whatever else is to be done.

A yes to GET or HEAD also says for which other requests it holds: those with the same headers, byte for byte, from the
same address. Envoy may say it by itself for half a second (`engines.front_known`).
"""

import asyncio
import json
import re
from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address
from itertools import takewhile
from pathlib import Path

from gateway.clock import Clock, system_clock
from gateway.config.schema import Config
from gateway.engines.carrying import version_of
from gateway.engines.front_bridges import carried_behind
from gateway.engines.front_carried import settable
from gateway.errors import RequestRefused, StoreUnavailable
from gateway.model import Verdict
from gateway.observability.access_log import AccessLog, Trace
from gateway.policy.decide import Routes, decide
from gateway.portal.rendering.render import Pages
from gateway.proxy.client_headers import Pair
from gateway.proxy.request_headers import host_header
from gateway.request.hop import AGAIN, CARRY, KEEP, NAME, NOTE, PRIVATE, PUBLIC, Hop
from gateway.request.target import make_target
from gateway.server.carried_failure import failure_page, reader_of
from gateway.server.fastpath.client_address import ClientAddress
from gateway.server.fastpath.fast_path import FastPath
from gateway.server.fastpath.request_head import split_head
from gateway.server.fastpath.wanted import Allowed
from gateway.session import Sessions

_START = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
NOT_CARRIED = _START + b"\r\n"
_NOTHING = (b"", "", "")
_TOKEN = re.compile(r"[0-9a-f-]{1,64}")
_LOOKED_FOR = 60.0
"""Seconds for which a no is left where Envoy looks for it."""
_GOES_ON, _ENDS = NOT_CARRIED, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
# What stands between Envoy and its two ends, and so is Envoy's to write.
_FRAMING = frozenset({"host", "content-length", "transfer-encoding", "connection", "te", "trailer", "expect"})
# Envoy has written its own over what the client sent, so that what the client sent says nothing of what is there.
_OF_ENVOY = ("x-forwarded-proto", "x-envoy-external-address")


class CarriedRequests:
    """Answers Envoy's questions. `clock` is the wall clock that Envoy reads, too; `ended` the folder where a no about
    an answer under way is left (`engines.front_watch`).
    """

    def __init__(
        self,
        config: Config,
        fast: FastPath,
        access: AccessLog,
        routes: Routes,
        sessions: Sessions,
        pages: Pages,
        ended: Path,
        *,
        authorities: int | None = None,
        clock: Clock = system_clock,
    ) -> None:
        """`authorities`: the number of those whose certificates of clients count; None for nobody's."""
        self._fast, self._access, self._routes, self._sessions = fast, access, routes, sessions
        names = carried_behind(config, ended.parent)
        self._names = {id(route): name for name, route in names.items()}
        self._version = version_of(names)
        self._settable = settable(config)
        self._clock, self._ended, self._pages = clock, ended, pages
        self.authorities = authorities

    def answer(self, head: bytes, address: ClientAddress, hop: Hop) -> bytes:
        """Say whether Envoy may carry the request of this head, and how."""
        found = split_head(head, self._fast.lines)
        if found is None or not self._names or not self.knows(hop.asks):
            return NOT_CARRIED
        method, path, query = found.line.method, found.line.path, found.line.query
        if found.line.is_ours or (hop.framed and method in ("GET", "HEAD")):
            return NOT_CARRIED
        allowed = self._fast.judge(found, address)
        name = self._names.get(id(allowed.site.route)) if allowed else None
        if allowed is None or name is None:
            return NOT_CARRIED
        lines, kept, reader = self._lines(allowed, name)
        if not lines:
            return NOT_CARRIED
        given = allowed.plan.name(found.named)
        id_ = given or self._access.new_id()
        named = b"x-request-id: " + id_.encode() + b"\r\n" if allowed.rendered.named else b""
        note = f"{NOTE}: {self._note(allowed, reader)}\r\n{NAME}: {id_}\r\n"
        if kept and not found.named and method in ("GET", "HEAD") and self._fast.lasts(allowed):
            note += f"{KEEP}: {kept}\r\n"
        if (principal := allowed.rendered.principal) is not None:
            uri = f"{path}?{query}" if query else path
            note += f"{AGAIN}: {self._again(allowed, method, uri, principal.session.sid)}\r\n"
        return _START + lines + named + note.encode() + b"\r\n"

    def knows(self, version: str) -> bool:
        """Whether Envoy means the same by each name. In a reload it may have another configuration: then all requests
        come to the workers whole.
        """
        return version == self._version

    # -- headers ---------------------------------------------------------------------------------------------------

    def _lines(self, allowed: Allowed, name: str) -> tuple[bytes, str, str]:
        """What Envoy is told, b"" if it is not to carry; what it may keep, "" for nothing; who reads the answer.

        Remembered with what was rendered, which goes when the principal changes or the assertion is old.
        """
        rendered = allowed.rendered
        known = rendered.carried
        if known is None:
            known = rendered.carried = self._written(allowed, name)
        return known

    def _written(self, allowed: Allowed, name: str) -> tuple[bytes, str, str]:
        plan, route = allowed.plan, allowed.site.route
        target = plan.target
        sent = [value.decode("latin-1") for key, value in plan.pairs if key.lower() == b"host"]
        upstream = allowed.upstream.address.authority
        if plan.authorization:
            return _NOTHING  # who shows credentials with each request has no session that an answer could be judged by
        if any(key.lower() == b"accept" and b"event-stream" in value for key, value in plan.pairs):
            return _NOTHING  # a stream has no end: ours is cut where a session ends, Envoy's falls silent
        if route.preserve_host and sent != [host_header(route, target, upstream)]:
            return _NOTHING  # the app gets the host in its one spelling
        change = difference(plan.pairs, allowed.rendered.block, named=allowed.rendered.named)
        if change is None or not self._settable.issuperset(key for key, _ in change[0]):
            return _NOTHING
        told, removed = change
        kept = self._kept(allowed, name, told, removed)
        told = [*told, (CARRY, name), (PUBLIC, f"{target.scheme}://{target.authority}")]
        if allowed.rendered.principal is not None:
            told.append((PRIVATE, "1"))
        if removed:
            told.append(("x-envoy-auth-headers-to-remove", ",".join(removed)))
        lines = b"".join(f"{key}: {value}\r\n".encode("latin-1") for key, value in told)
        return lines, kept, reader_of(self._pages, plan)

    def _kept(self, allowed: Allowed, name: str, told: Sequence[tuple[str, str]], removed: list[str]) -> str:
        """What `engines.front_known` reads. A header that was there twice is left to Envoy's own filter."""
        sent = [key.decode("latin-1").lower() for key, _ in allowed.plan.pairs]
        if any(sent.count(key) > 1 for key, _ in told):
            return ""
        elsewhere, principal = self._elsewhere(allowed), allowed.rendered.principal
        target = allowed.plan.target
        words = (
            name,
            "this" if elsewhere is None else "all",
            " ".join(elsewhere or ()),
            "1" if allowed.rendered.named else "",
            ",".join(removed),
            f"{target.scheme} {target.client} {target.authority}",
            principal.session.sid if principal else "",
            *(word for pair in told for word in pair),
        )
        # One of them would be read as several, or could not be written as the text that Envoy keeps.
        return "\t".join(words) if all("\t" not in word and word.isascii() for word in words) else ""

    def _elsewhere(self, allowed: Allowed) -> tuple[str, ...] | None:
        """How paths begin of which something else may be said than of this one, for the same headers and GET or HEAD;
        None if policy asks for more than the headers, or the route is not for all paths.
        """
        route = allowed.site.route
        if allowed.rendered.decision is None or route.path != "/":
            return None
        asked = self._routes.candidates(allowed.plan.target.host)
        return (*self._fast.ours, *(one.path for one in takewhile(lambda one: one is not route, asked)))

    # -- what is told to Envoy for later ---------------------------------------------------------------------------

    def _note(self, allowed: Allowed, reader: str) -> str:
        principal, decision, plan = allowed.rendered.principal, allowed.decision, allowed.plan
        trace = Trace("")
        trace.decided(decision, principal, self._sessions.now())
        said = {
            "client": str(plan.target.client),
            "host": plan.target.host,
            "route": allowed.site.route.label,
            "user": trace.user,
            "verdict": trace.verdict,
            "reason": trace.reason,
            "rule": trace.rule,
            "factors": trace.factors,
            "upstream": allowed.upstream.address.url,
            "agent": plan.agent,
            "reader": reader,
        }
        return json.dumps(said)

    def _again(self, allowed: Allowed, method: str, uri: str, sid: str) -> str:
        target = allowed.plan.target
        words = (int(self._clock() * 1000), method, target.scheme, target.client, target.authority, uri)
        return " ".join(map(str, (*words, sid)))

    def page(self, asked: str) -> bytes:
        """Return the page for an app that failed Envoy."""
        return failure_page(self._pages, asked)

    async def goes_on(self, asked: str) -> bytes:
        """Say whether an answer under way may go on: its session has not ended, and policy says the same.

        Who does not wait for the word has written a token behind the question: for a no there is a file of that name.
        """
        words = asked.split(" ")
        answer = await self._judged_again(words[:7])
        if answer is _ENDS and len(words) == 8 and _TOKEN.fullmatch(words[7]):
            file = self._ended / words[7]
            file.touch(0o600)
            # Where the answer was over before anybody looked.
            asyncio.get_running_loop().call_later(_LOOKED_FOR, partial(file.unlink, missing_ok=True))
        return answer

    async def _judged_again(self, words: Sequence[str]) -> bytes:
        try:
            _, method, scheme, client, authority, uri, sid = words
            target = make_target(scheme, authority, method, uri, ip_address(client))
            principal = await self._sessions.look_up(sid)
        except (ValueError, RequestRefused):
            return _ENDS
        except StoreUnavailable:
            return _GOES_ON  # as our own proxy: what can't be read is not judged, the next look asks again
        route = self._routes.find(target)
        if principal is None or route is None:
            return _ENDS
        verdict = decide(route, target, principal, self._sessions.now()).verdict
        return _GOES_ON if verdict is Verdict.ALLOW else _ENDS


def difference(
    received: Sequence[Pair], block: bytes, *, named: bool
) -> tuple[list[tuple[str, str]], list[str]] | None:
    """Compare the headers that a client sent with those that the app is to get.

    Args:
        received: as pairs.
        block: what the app is to get, as lines, without Host and framing.
        named: whether X-Request-Id will be set, too.

    Returns:
        the headers to set and the names to remove, all in lower case; None if a header would have to be there twice.
    """
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    sent = (line.partition(b": ")[::2] for line in block.split(b"\r\n") if line)
    for pairs, found in ((received, before), (sent, after)):
        for name, value in pairs:
            found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    for key in _OF_ENVOY:
        before[key] = ["what Envoy wrote"]
    changed = {key: values for key, values in after.items() if before.get(key) != values}
    if any(len(values) > 1 for values in changed.values()) or not _FRAMING.isdisjoint(changed):
        return None
    kept = set(after) | _FRAMING | ({"x-request-id"} if named else set())
    told = [(key, values[0]) for key, values in changed.items()]
    return told, sorted(key for key in before if key not in kept)
