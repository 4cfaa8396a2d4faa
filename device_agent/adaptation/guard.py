"""Commit or not: are the new weights better on windows that neither model has learned from?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from schemas.adaptation import Guard

TEST = "mcnemar-midp-one-sided"


def mcnemar_p(gained: int, lost: int) -> float:
    """One-sided mid-p McNemar test: of `gained + lost` windows on which two models differ, the chance that a fair
    coin gives the new one more than `gained`, and half the chance of just as many. 1.0 when they nowhere differ.

    The exact test keeps well below its stated risk with few windows, and so throws away half of the good fits; the
    mid-p version keeps close to it (Fagerland, Lydersen and Laake, BMC Med. Res. Methodol. 13:91, 2013).
    """
    if gained < 0 or lost < 0:
        raise ValueError(f"gained {gained}, lost {lost}: expected counts")
    differing = gained + lost
    if not differing:
        return 1.0
    # twice the favourable outcomes, so that integers stay exact however many windows there are
    favourable = math.comb(differing, gained) + 2 * sum(
        math.comb(differing, k) for k in range(gained + 1, differing + 1)
    )
    return float(favourable / 2 ** (differing + 1))


def judge(labels: Sequence[int], before: Sequence[int], after: Sequence[int], risk: float) -> Guard:
    """Compare two models' predictions of the same held-out windows. `worth_committing` reads the verdict."""
    if not len(labels) == len(before) == len(after):
        raise ValueError(f"{len(labels)} labels, {len(before)} and {len(after)} predictions: expected equally many")
    was = [predicted == label for predicted, label in zip(before, labels, strict=True)]
    now = [predicted == label for predicted, label in zip(after, labels, strict=True)]
    gained = sum(b and not a for a, b in zip(was, now, strict=True))
    lost = sum(a and not b for a, b in zip(was, now, strict=True))
    return Guard(
        held_out=len(labels),
        before_correct=sum(was),
        after_correct=sum(now),
        p_value=mcnemar_p(gained, lost),
        risk=risk,
        test=TEST,
    )


def worse(reversed_guard: Guard) -> bool:
    """Of `judge(labels, after, before, risk)`: are the old weights better?"""
    return reversed_guard.p_value <= reversed_guard.risk


def worth_committing(guard: Guard) -> bool:
    """Whether what was seen is as unlikely, were the new weights no better, as the stated risk asks for."""
    return guard.p_value <= guard.risk
