"""Connections against a plain reference, with everything that can happen on them, in any order (hypothesis).

Every request is answered once, in order, to the right user, or the connection is visibly cut; no app is asked more
often than allowed; an answer says that the connection closes if it does, and only then; nothing is left open without a
reader. `make fuzz` runs many more examples.
"""

import asyncio
import os

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.connection_model import judge, nothing_is_left, play
from tests.connection_pipe_sim import JumpingLoop
from tests.connection_requests import Asked, Sent, plans, requests
from tests.connection_sim import World

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
GET, UPLOAD = Asked(fast=False), Asked(method="POST", size=1, fast=False)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
# The app refuses both; the body of the upload, and what stands behind it, come five seconds after its answer.
@example(
    asked=([GET], [GET, UPLOAD, GET, GET]),
    plan=[(0, 0, 0, "refuse"), (1, 100, 0, "refuse"), (1, -1, 0, "idle")],
    piece=1,
    delay=0.0,
)
@given(
    asked=st.tuples(st.lists(requests, min_size=1, max_size=6), st.lists(requests, max_size=4)),
    plan=plans,
    piece=st.sampled_from([1, 7, 1000]),
    delay=st.sampled_from([0.0, 0.0, 3.0]),
)
def test_each_request_is_answered_once_in_order_to_the_right_user_or_visibly_cut(
    asked: tuple[list[Asked], list[Asked]], plan: list[tuple[int, int, int, str]], piece: int, delay: float
) -> None:
    loop = JumpingLoop()
    asyncio.set_event_loop(loop)
    try:
        world = World(loop, clients=2, piece=piece, delay=delay)
        sent = [Sent(asked[0], 0), Sent(asked[1], 100)]
        happened = play(world, sent, plan)
        assert not loop.errors
        for client, one, what in zip(world.clients, sent, happened, strict=True):
            judge(world, client, one, what)
        nothing_is_left(world)
    finally:
        loop.end()
        asyncio.set_event_loop(None)
