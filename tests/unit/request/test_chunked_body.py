"""Where a chunked body ends, and how much may come of it without a byte of content."""

import pytest

from gateway.request.chunked_body import BrokenBody, ChunkedBody

MOST = 100


def test_what_stands_behind_a_body_does_not_count_as_its_trailers() -> None:
    behind = b"POST / HTTP/1.1\r\n\r\n" + b"x" * 10 * MOST
    body = ChunkedBody(MOST)
    assert body.feed(b"0\r\n\r\n" + behind) == (b"", behind)
    assert body.complete


@pytest.mark.parametrize("endless", [b"0\r\n" + b"Name: value\r\n" * MOST, b"1;" + b"x" * 2 * MOST])
def test_trailers_and_extensions_that_go_on_for_ever_are_refused(endless: bytes) -> None:
    body = ChunkedBody(MOST)
    body.feed(endless[:MOST])
    with pytest.raises(BrokenBody, match="too large"):
        body.feed(endless[MOST : 2 * MOST])
