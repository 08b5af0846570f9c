"""In which order the upstreams of a route are asked. Pure: each worker and replica comes to the same for a user."""

import hashlib
import math
from collections.abc import Sequence


def turns(weights: Sequence[int]) -> tuple[int, ...]:
    """One round: each upstream as often as it weighs, and as evenly spread as can be (nginx calls it smooth)."""
    current, total = [0] * len(weights), sum(weights)
    order = []
    for _ in range(total):
        current = [have + weight for have, weight in zip(current, weights, strict=True)]
        chosen = current.index(max(current))
        current[chosen] -= total
        order.append(chosen)
    return tuple(order)


def ranking(who: str, urls: Sequence[str], weights: Sequence[int]) -> list[int]:
    """The upstreams for somebody, best first. When one comes or goes, only its own users move (rendezvous hashing)."""
    scores = [weight / -math.log(_share(who, url)) for url, weight in zip(urls, weights, strict=True)]
    return sorted(range(len(urls)), key=lambda number: -scores[number])


def _share(who: str, url: str) -> float:
    """Between 0 and 1, both excluded."""
    digest = hashlib.blake2b(f"{who}\0{url}".encode("utf-8", "surrogatepass"), digest_size=6).digest()
    return (int.from_bytes(digest) + 0.5) / 2**48
