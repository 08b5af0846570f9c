"""In which order the upstreams of a route are asked. Pure: each worker and replica comes to the same order for a
user.
"""

import hashlib
import math
from collections.abc import Sequence


def turns(weights: Sequence[int]) -> tuple[int, ...]:
    """Spread the upstreams over one round: each index as often as its weight says, as evenly as can be.

    This is nginx' "smooth weighted round robin": weights 5, 1, 1 give 0 0 1 0 2 0 0, not 0 0 0 0 0 1 2.
    """
    current, total = [0] * len(weights), sum(weights)
    order = []
    for _ in range(total):
        current = [have + weight for have, weight in zip(current, weights, strict=True)]
        chosen = current.index(max(current))
        current[chosen] -= total
        order.append(chosen)
    return tuple(order)


def ranking(who: str, urls: Sequence[str], weights: Sequence[int]) -> list[int]:
    """Order the upstreams (indexes of `urls`) for `who`, the best first, by weighted rendezvous hashing.

    When an upstream comes or goes, only the users who had it move; the others stay where their app knows them.
    """
    # With -ln(u) each upstream draws a time from an exponential distribution, whose shortest is the first with a
    # probability that follows the weights. The hash stands for chance, so that nobody needs to remember who was sent
    # where.
    scores = [weight / -math.log(_share(who, url)) for url, weight in zip(urls, weights, strict=True)]
    return sorted(range(len(urls)), key=lambda number: -scores[number])


def _share(who: str, url: str) -> float:
    """Between 0 and 1, both excluded."""
    digest = hashlib.blake2b(f"{who}\0{url}".encode("utf-8", "surrogatepass"), digest_size=6).digest()
    return (int.from_bytes(digest) + 0.5) / 2**48
