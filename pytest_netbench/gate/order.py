"""Which arm goes first? Blocks of two pairs, ABBA or BAAB by a seeded coin, so that neither drift nor order counts."""

from __future__ import annotations

import random
from collections.abc import Iterator

from pytest_netbench.gate.arms import CAND, REF

LARGEST_SEED = 2**32


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
