"""Twin of gateway/proxy/websocket_frames.py: frame ends are found however the bytes are cut."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from gateway.proxy.websocket_frames import FrameTracker, close_frame

SIZES = st.sampled_from([0, 1, 125, 126, 127, 65_535, 65_536, 70_000])


def frame(size: int, masked: bool) -> bytes:
    mask = 0x80 if masked else 0
    if size < 126:
        head = bytes((0x82, mask | size))
    elif size < 65_536:
        head = bytes((0x82, mask | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x82, mask | 127)) + size.to_bytes(8, "big")
    return head + (b"mask" if masked else b"") + b"\xff" * size


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(stream) + 1) for place in places}), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(edges)]


@given(st.lists(st.tuples(SIZES, st.booleans()), max_size=4), st.lists(st.integers(0, 10**6), max_size=20))
def test_the_end_of_the_last_frame_is_a_boundary(frames: list[tuple[int, bool]], places: list[int]) -> None:
    tracker = FrameTracker()
    for piece in cut(b"".join(frame(*one) for one in frames), places):
        tracker.feed(piece)
    assert tracker.at_boundary


@given(SIZES, st.booleans(), st.integers(1, 10**6))
def test_the_rest_of_a_frame_ends_where_the_frame_does(size: int, masked: bool, place: int) -> None:
    whole = frame(size, masked)
    place = 1 + place % (len(whole) - 1)
    tracker = FrameTracker()
    tracker.feed(whole[:place])
    assert not tracker.at_boundary
    assert tracker.to_boundary(whole[place:] + frame(5, False)) == len(whole) - place
    assert tracker.at_boundary


def test_a_close_frame_carries_code_and_reason() -> None:
    assert close_frame(4401, "session ended") == b"\x88\x0f\x11\x31session ended"
