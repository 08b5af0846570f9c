"""What clients send and what may become of it: the model that the connection is held against."""

import asyncio
import re
from dataclasses import dataclass

from gateway.server.closing_connection import BRIEFLY, DISCARD_BYTES, DISCARD_TIME, LINGER_QUIET
from tests.connection_app_sim import CUTS, DIES, EARLY, GOOD
from tests.connection_requests import PLENTY, Asked, Sent
from tests.connection_sim import Client, World, Written


def play(world: World, sent: list[Sent], plan: list[tuple[int, int, int, str]]) -> list[set[str]]:
    """Send all in segments, with what happens between them; then let everything run out."""
    happened: list[set[str]] = [set() for _ in sent]
    for who, size, turns, action in plan:
        client = world.clients[who]
        client.send(sent[who].next(size))
        world.turns(turns)
        if action in ("pause", "resume"):
            client.pause(action == "pause")
        elif action in ("wait", "idle"):
            world.wait(5 if action == "idle" else 0.5)
        elif action == "refuse":
            world.app.refusals += 1
        elif action == "forget":
            world.do(world.app.hang_up_idle)
        elif action == "signout":
            world.do(world.sign_out, "alice")
            happened = [one | {action} for one in happened]
        elif action == "drain" and not world.draining:
            world.do(world.drain)
        elif action in ("abort", "leave") and not client.pipe.lost:
            world.do(
                *((client.pipe.lose, ConnectionResetError()) if action == "abort" else (client.pipe.leave,))
            )
            happened[who].add("left")
            sent[who].next(PLENTY)
    if world.loop.now >= 1000 + world.limits.head_timeout:
        happened = [one | {"slow"} for one in happened]
    for client, one in zip(world.clients, sent, strict=True):
        client.pause(False)
        client.send(one.next(PLENTY))
    world.wait(1000)
    return happened


@dataclass(frozen=True)
class Answer:
    """A final answer as a client reads it. `at` is the place of its head in all that the client heard."""

    at: int
    status: int
    who: str
    body: bytes
    closes: bool
    invited: int


def split_answers(data: bytes, asked: list[Asked], *, cut: bool) -> tuple[list[Answer], bool]:
    """The final answers, and whether the last one is not whole; `cut`: what comes to an end does so with a reset."""
    answers: list[Answer] = []
    at = invited = 0
    while at < len(data):
        end = data.find(b"\r\n\r\n", at) + 4
        if end < 4:
            return answers, True
        head, start, at = data[at:end], at, end
        status = int(head.split(b" ")[1])
        if status < 200:
            invited += status == 100
            continue
        assert len(answers) < len(asked), "more answers than requests"
        one = asked[len(answers)]
        closes = b"\r\nConnection: close\r\n" in head or one.wish == "1.0"
        assert b"keep-alive" not in head
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        body = b""
        if one.method == "HEAD" and not one.malformed and status != 408:
            pass
        elif length:
            body, at = data[at : at + int(length[1])], at + int(length[1])
            if at > len(data):
                return answers, True
        elif one.wish == "1.0":
            body, at = data[at:], len(data)
            if cut:
                return answers, True
        else:
            assert b"\r\nTransfer-Encoding: chunked\r\n" in head
            size = b""
            while size != b"0":
                size, line, _ = data[at : at + 20].partition(b"\r\n")
                after = at + len(size) + 2 + (int(size, 16) if line else 0) + 2
                if not line or after > len(data):
                    return answers, True
                body, at = body + data[at + len(size) + 2 : after - 2], after
        who = re.search(rb"\r\nX-Who: ([^\r]*)", head)
        answers.append(Answer(start, status, who[1].decode() if who else "", body, closes, invited))
        invited = 0
    return answers, False


def judge(world: World, client: Client, sent: Sent, happened: set[str]) -> None:
    asked, first, app = sent.asked, sent.first, world.app
    gone = {"alice"} & {"alice" for _ in happened & {"signout"}}
    cut = client.pipe.aborted or "left" in happened
    answers, partial = split_answers(bytes(client.heard), asked, cut=cut)
    assert client.pipe.lost
    assert not client.faults
    for number, (one, answer) in enumerate(zip(asked, answers, strict=False)):
        right_answer(one, answer, f"{first + number} {one.user}".rstrip(), world, happened)
        when = next(written for written in reversed(client.written) if written.at <= answer.at)
        assert answer.closes == must_close(answer, sent, number, when), "what it says is what happens"
        assert not answer.closes or number == len(answers) - 1
        assert answer.invited <= one.expects
        if answer.status == 200 and one.kind not in EARLY:
            assert first + number in app.whole
    last = asked[len(answers)] if len(answers) < len(asked) else None
    if (partial or client.pipe.aborted) and "left" not in happened:  # else nobody cares
        assert client.pipe.aborted, "a part of an answer looks like all of it"
        # An answer that is all written is under way until its client has taken it.
        ended = {one.user for one in asked[max(0, len(answers) - 1) : len(answers) + 1]} & gone
        assert ended or (last and (last.kind in CUTS or last.broken))
    # The app: in order, nobody but the next, the right user, never more often than allowed, what was sent.
    mine = [number - first for number in app.order if number // 100 == first // 100]
    assert mine == sorted(mine)
    assert all(number <= len(answers) for number in mine)
    if answers and answers[-1].closes:
        assert all(number < len(answers) for number in mine)
    for number in set(mine):
        once_to_the_right_user(asked[number], app.asked[first + number])
        body = app.bodies[first + number]
        assert asked[number].body.startswith(body)
        assert first + number not in app.whole or body == asked[number].body
        if asked[number].kind in (*GOOD, *EARLY) and not asked[number].broken and "left" not in happened:
            assert number < len(answers) or asked[number].user in gone, (
                "who was asked is heard, also at a drain"
            )
    # All of them, unless somebody had a reason to end the connection.
    if not (happened or world.draining or partial or client.pipe.aborted or (answers and answers[-1].closes)):
        assert len(answers) == len(asked) or gave_up_a_body(client, sent, len(answers))
    if client.at_drain is not None:
        idle_ones_leave(world, client, sent, client.at_drain)
    if client.too_late and not (client.pipe.aborted or "left" in happened):
        quiet = client.pipe.closed_at - (client.written[-1].when if client.written else 1000)
        assert quiet >= (BRIEFLY if world.draining else LINGER_QUIET) or (
            answers and asked[len(answers) - 1].wish in ("close", "1.0")
        )


def gave_up_a_body(client: Client, sent: Sent, answered: int) -> bool:
    """Whether the connection ended because the rest of a body whose answer was out did not come in time."""
    unfinished = answered > 0 and client.pipe.delivered < sent.ends[answered - 1]
    return unfinished and client.pipe.closed_at - client.written[-1].when >= DISCARD_TIME


def right_answer(one: Asked, answer: Answer, who: str, world: World, happened: set[str]) -> None:
    match answer.status:
        case 200:
            assert answer.who == who
            assert answer.body == (b"" if one.method == "HEAD" else who.encode().ljust(len(answer.body)))
            assert not one.malformed
            assert not one.too_large or one.kind in EARLY
            assert one.kind in (*GOOD, *EARLY, "boom") or (one.method == "HEAD" and one.kind in CUTS)
        case 400:
            assert one.malformed or one.broken
        case 403:
            assert one.user == "alice"
            assert "signout" in happened
        case 500:
            assert one.kind == "boom"
        case 408:  # a head that took too long
            assert "slow" in happened
        case 413:
            assert one.too_large
        case 502:
            assert one.kind in (*DIES, "worn") or world.app.refused
        case _:
            assert (answer.status, one.kind) == (504, "silent")


def must_close(answer: Answer, sent: Sent, number: int, when: Written) -> bool:
    """Whether an answer has to say that it is the last one, going by what the client had sent by then."""
    one, left = sent.asked[number], sent.ends[number] - when.delivered
    if when.draining or one.broken or one.wish in ("close", "1.0") or answer.status in (400, 408, 500):
        return True
    if answer.status == 200:
        return left > 0  # the rest goes to nobody
    return left > 0 and (
        one.chunked or left > DISCARD_BYTES or (one.expects and when.delivered == sent.heads[number])
    )


def once_to_the_right_user(one: Asked, seen: list[tuple[str, bool]]) -> None:
    assert not one.malformed
    assert all(user == one.user for user, _ in seen)
    again = one.method != "POST" and seen[0][1] and one.kind in ("worn", "dies", "earlydies")
    assert len(seen) == 1 or (len(seen) == 2 and again)


def idle_ones_leave(world: World, client: Client, sent: Sent, then: tuple[int, int]) -> None:
    """A connection on which nothing was under way when we began to drain, and nothing came after, closes soon."""
    heard, delivered = then
    answers, partial = split_answers(bytes(client.heard[:heard]), sent.asked, cut=True)
    if not partial and delivered == client.pipe.delivered == ([0, *sent.ends][len(answers)]):
        assert client.pipe.lost_at <= world.drained_at + world.linger


def nothing_is_left(world: World) -> None:
    """No connection, no task, no wire that somebody still listens to, none kept that is not at rest."""
    assert not world.app.faults
    assert not world.open
    assert not world.all_fast._active
    for serving in world.app.servings:
        assert serving.pipe.closing or serving.idle
    world.end()
    assert not asyncio.all_tasks(world.loop)
