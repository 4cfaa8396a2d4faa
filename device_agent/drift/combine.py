"""From evidence to a claim: any, majority, or weighted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

from schemas.drift import Evidence


class Rule(StrEnum):
    """ANY: one detector is enough. MAJORITY: more than half of them. WEIGHTED: what follows."""

    ANY = "any"
    MAJORITY = "majority"
    WEIGHTED = "weighted"


#: A claim takes a sum of 1. Errors are what drift costs; without them entropy is the best single witness
#: (docs/evaluation.md), and the features need another one: they also move where accuracy does not.
WEIGHTS = {"error": 1.0, "entropy": 1.0, "features": 0.5, "margin": 0.25, "confidence": 0.25}


def claims(rule: Rule, evidence: Sequence[Evidence], *, labels_rare: bool) -> bool:
    """With WEIGHTED, only errors count as long as there are labels: what they show is what the others guess."""
    fired = [e for e in evidence if e.fired]
    if rule is Rule.ANY:
        return bool(fired)
    if rule is Rule.MAJORITY:
        return 2 * len(fired) > len(evidence)
    return sum(WEIGHTS[e.watches] for e in fired if labels_rare or e.watches == "error") >= 1.0


def sureness(errors: int, windows: int, reference: float | None) -> float | None:
    """One minus the chance of `errors` or more among `windows` at the reference rate (binomial)."""
    if not windows or reference is None:
        return None
    rate = min(max(reference, 1e-6), 1.0 - 1e-6)
    tail = sum(
        math.exp(
            math.lgamma(windows + 1) - math.lgamma(k + 1) - math.lgamma(windows - k + 1)
            + k * math.log(rate) + (windows - k) * math.log1p(-rate)
        )
        for k in range(errors, windows + 1)
    )  # fmt: skip
    return max(1.0 - tail, 0.0)
