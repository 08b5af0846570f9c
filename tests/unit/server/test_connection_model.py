"""The connection against a plain reference, with everything that can happen on it, in any order (hypothesis).

Every request is answered once, in order, to the right user, or the connection is visibly cut; no app is asked more
often than allowed; nothing is left open without a reader. `make fuzz` runs many more examples.
"""

import asyncio
import os
import re
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.connection_sim import JumpingLoop, World

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
GOOD = ["plain", "hints", "chunks", "more", "close", "until", "upgrade", "worn"]
BAD = ["early", "half", "halfchunks", "odd", "dies"]
CUTS = {"half", "halfchunks"}


@dataclass(frozen=True)
class Asked:
    """One request as the client sends it."""

    kind: str
    user: str
    method: str
    body: bytes
    chunked: bool
    fast: bool

    def as_bytes(self, number: int) -> bytes:
        lines = [f"{self.method} /{number}/{self.kind} HTTP/1.1", "Host: app.test"]
        lines += [f"Cookie: auth_session={self.user}"] * bool(self.user)
        lines += ["TE: trailers"] * (not self.fast)  # which only the ordinary path knows
        sent = self.body
        if self.method == "POST" and self.chunked:
            lines.append("Transfer-Encoding: chunked")
            sent = b"".join(b"1\r\n%c\r\n" % one for one in self.body) + b"0\r\n\r\n"
        elif self.method == "POST":
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (sent if self.method == "POST" else b"")


requests = st.builds(
    Asked,
    kind=st.sampled_from([*GOOD, *GOOD, *BAD]),
    user=st.sampled_from(["", "alice", "bob"]),
    method=st.sampled_from(["GET", "GET", "POST"]),
    body=st.binary(max_size=20),
    chunked=st.booleans(),
    fast=st.booleans(),
)
steps = st.tuples(
    st.integers(1, 200),  # bytes that arrive next
    st.integers(0, 12),  # turns of the loop behind them
    st.sampled_from(["", "", "", "", "", "pause", "resume", "wait", "idle", "drain", "abort"]),
)


def split_answers(data: bytes) -> tuple[list[tuple[int, bytes, bool]], bool]:
    """The final answers as (status, body, says that it closes), and whether the last one is not whole."""
    answers: list[tuple[int, bytes, bool]] = []
    while data:
        head, empty, data = data.partition(b"\r\n\r\n")
        if not empty:
            return answers, True
        status = int(head.split(b" ")[1])
        if status < 200:
            continue
        closes = b"\r\nConnection: close" in head
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        if length:
            body, data = data[: int(length[1])], data[int(length[1]) :]
            if len(body) < int(length[1]):
                return answers, True
        else:
            assert b"\r\nTransfer-Encoding: chunked" in head
            body = b""
            while True:
                size, line, data = data.partition(b"\r\n")
                if not line or len(data) < int(size, 16) + 2:
                    return answers, True
                body, data = body + data[: int(size, 16)], data[int(size, 16) + 2 :]
                if size == b"0":
                    break
        answers.append((status, body, closes))
    return answers, False


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    asked=st.lists(requests, min_size=1, max_size=6),
    plan=st.lists(steps, max_size=30),
    piece=st.sampled_from([1, 7, 1000]),
    delay=st.sampled_from([0.0, 0.0, 3.0]),
)
def test_each_request_is_answered_once_in_order_to_the_right_user_or_visibly_cut(
    asked: list[Asked], plan: list[tuple[int, int, str]], piece: int, delay: float
) -> None:
    loop = JumpingLoop()
    asyncio.set_event_loop(loop)
    try:
        world = World(loop, piece=piece, delay=delay)
        done = play(world, b"".join(one.as_bytes(number) for number, one in enumerate(asked)), plan)
        judge(world, asked, done)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def play(world: World, wire: bytes, plan: list[tuple[int, int, str]]) -> set[str]:
    """Send the wire in segments, with what happens between them; then let everything run out."""
    happened: set[str] = set()
    paused = False
    for size, turns, action in plan:
        segment, wire = wire[:size], wire[size:]
        if segment and not world.client.closing:
            world.do(world.client.receive, segment)
        world.turns(turns)
        if world.client.lost:
            break
        if action in ("pause", "resume") and paused == (action == "resume"):
            paused = not paused
            world.do(world.connection.pause_writing if paused else world.connection.resume_writing)
        elif action == "wait":
            world.wait(0.5)
        elif action == "idle":
            world.wait(5)
            happened.add("idle")
        elif action == "drain" and not world.draining:
            world.do(world.drain)
            happened.add("drain")
        elif action == "abort":
            world.do(world.client.lose, ConnectionResetError())
            happened.add("abort")
            break
    if paused and not world.client.lost:
        world.do(world.connection.resume_writing)
    if wire and not world.client.closing:
        world.do(world.client.receive, wire)
    world.wait(1000)
    world.end()
    return happened


def judge(world: World, asked: list[Asked], happened: set[str]) -> None:
    answers, partial = split_answers(bytes(world.heard))
    # Nothing is left: no connection, no task, no wire that somebody still listens to.
    assert world.client.lost
    assert not world.open
    assert not asyncio.all_tasks(world.loop)
    assert not world.fast._active
    # In order, once, to the right user.
    assert len(answers) <= len(asked)
    for number, (status, body, closes) in enumerate(answers):
        one = asked[number]
        if status == 200:
            assert body == f"{number} {one.user}".encode()
            assert one.kind not in (*CUTS, "odd", "dies")
        elif status == 408:  # a head, or an upload, that took too long
            assert "idle" in happened
        else:
            assert status == 502, (status, body)
            assert one.kind in ("odd", "dies", "worn")
        assert not closes or number == len(answers) - 1
    if partial:
        assert world.client.aborted or "abort" in happened
    # The app: the right user, never asked more often than allowed, the whole body.
    for number, seen in world.app.asked.items():
        one = asked[number]
        assert all(user == one.user for user, _ in seen)
        assert len(seen) == 1 or (
            len(seen) == 2 and one.method == "GET" and seen[0][1] and one.kind in ("worn", "dies")
        )
    for number, (status, _, _) in enumerate(answers):
        if status == 200 and asked[number].method == "POST" and asked[number].kind != "early":
            assert world.app.bodies[number] == asked[number].body
    # All of them, unless somebody had a reason to end the connection.
    reasons = (
        happened or partial or any(closes for _, _, closes in answers) or CUTS & {one.kind for one in asked}
    )
    if not reasons:
        assert len(answers) == len(asked)
