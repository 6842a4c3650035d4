"""How much do pairs speak for a regression, whenever one stops and however often one asks? An e-value; pure.

A bet of 1 that the candidate costs ``tau`` more at most. Each block of two pairs multiplies it by 1 + tanh(scale x),
where x is the mean of its log ratios less ``tau``. Where the truth is ``tau``, the coin that orders a block's arms
makes x as likely as -x: the factor is 1 on average, whatever went before. Where it is less, x is less, and so is the
factor, which rises with x. So nobody expects to win, and the bet ever reaches C with probability 1 / C at most (Ville,
1939): however often one looks, and in several sessions, if it goes on where it was. A mean over scales is such a bet as
well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

SCALES = (4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
"""The best one is about the regression over the variance of a block: these are for noise of 1 to 15 %."""

_LARGEST = 700.0  # as a logarithm: what a float holds


def evidence(blocks: Sequence[Sequence[float]], tau: float) -> float:
    """The e-value of the log ratios of each block, of those of its pairs that count; ``tau``: as a logarithm.

    1 without any; 100 speaks as clearly for a regression as an error rate of 1 %. Those of several sessions multiply.
    """
    means = [math.fsum(one) / len(one) - tau for one in blocks if one]
    bets = (math.fsum(_gain(scale * one) for one in means) for scale in SCALES)
    return math.fsum(math.exp(min(bet, _LARGEST)) for bet in bets) / len(SCALES)


def _gain(x: float) -> float:
    """The logarithm of 1 + tanh x."""
    return math.log(2) - max(-2 * x, 0.0) - math.log1p(math.exp(-abs(2 * x)))
