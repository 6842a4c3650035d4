"""Which arm goes first, and where? Blocks of two pairs, ABBA or BAAB by a seeded coin; halves of a shared machine."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

from pytest_netbench.gate.arms import CAND, REF
from pytest_netbench.roles import Role

LARGEST_SEED = 2**32

ROOMY = 4
"""Processors from which on half of them is enough for any driver; one is for a driver that has one thread."""


def new_seed() -> int:
    """A seed for a test that names none; it is recorded."""
    return random.SystemRandom().randrange(LARGEST_SEED)


def order(seed: int, stage: str) -> Iterator[tuple[str, str]]:
    """The arms of each pair in their order, without end; screen and confirmation, the stages, have their own coins."""
    coins = random.Random(f"{stage} {seed}")  # noqa: S311 - a coin, not a key
    while True:
        pair = (REF, CAND) if coins.random() < 0.5 else (CAND, REF)  # noqa: PLR2004 - a fair one
        yield pair
        yield pair[1], pair[0]


def halves(pair: int, processors: int, *, narrow: bool) -> Mapping[Role, int]:
    """On which half of a shared machine each side runs in a pair; nothing where they share all of it.

    It changes from pair to pair, and is the same for both arms. Left to the kernel, two processes that talk to each
    other share a processor in some rounds and not in others, and a round trip takes a third, or three times as long.
    ``narrow``: a processor is enough for each side.
    """
    if processors < (2 if narrow else ROOMY):
        return {}
    return {Role.SERVER: pair % 2, Role.CLIENT: 1 - pair % 2}
