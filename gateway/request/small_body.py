"""Reads small bodies: a form or call of our own, whole and in time (security rule 7), and what others answer us."""

import asyncio

from aiohttp import StreamReader, web

from gateway.errors import RequestRefused
from gateway.i18n.text import N_

READ_WITHIN = 15.0
"""Seconds for all of it, as for a head."""


async def read_small(request: web.BaseRequest, largest: int) -> bytes:
    """Return the whole body. Raises RequestRefused: 413 for more than `largest` bytes, 408 for what takes longer than
    READ_WITHIN.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(READ_WITHIN):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > largest:
                    raise RequestRefused(
                        "body is too large", status=413, public=N_("The request is too large.")
                    )
    except TimeoutError as error:
        raise RequestRefused(
            "body comes too slowly", status=408, public=N_("The upload stopped for too long.")
        ) from error
    return bytes(body)


async def read_answer(content: StreamReader, most: int) -> bytes:
    """Return the body of an answer to a request of ours, or its first `most` bytes.

    `StreamReader.read` alone returns what has come by then: the first piece of an answer that comes in several.
    """
    body = bytearray()
    while len(body) < most and (piece := await content.read(most - len(body))):
        body += piece
    return bytes(body)
