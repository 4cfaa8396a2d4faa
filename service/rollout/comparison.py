"""Has a new plan cost accuracy? The comparison that stops a roll-out, and what it assumes.

Each device is compared with itself, before and after it took the new plan; the devices that have not taken it yet are
compared with themselves over the same time, so that a bad day for everybody is not blamed on the plan. The change of
accuracy D is a mean over devices with Mantel-Haenszel weights (n_b n_a / (n_b + n_a)); its variance is the binomial
one with Agresti and Caffo's correction (one success and one failure added), times an over-dispersion estimated from
blocks of 20 labelled windows: neighbouring windows are alike (quasi-binomial, McCullagh and Nelder, section 4.5).

It is looked at again and again. At look j the roll-out stops where p <= risk / (j (j + 1)), one-sided, against the
hypothesis that accuracy fell by no more than `margin`: over any number of looks a harmless plan is stopped with
probability `risk` at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt

#: Labelled windows in a block of which the over-dispersion is estimated.
BLOCK = 20


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one device and period. `squares`: sum over its blocks of correct^2 / labelled."""

    labelled: int = 0
    correct: int = 0
    blocks: int = 0
    squares: float = 0.0

    @property
    def accuracy(self) -> float | None:
        return self.correct / self.labelled if self.labelled else None


@dataclass(frozen=True, slots=True)
class Pair:
    """One device, before and after."""

    before: Counts
    after: Counts


@dataclass(frozen=True, slots=True)
class Change:
    """Of accuracy, over several devices."""

    devices: int
    labelled: int
    """After."""
    difference: float
    variance: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one look says. `difference` is what the plan did to accuracy, beyond what happened to the others."""

    difference: float
    standard_error: float
    p_value: float
    dispersion: float
    changed: Change
    others: Change | None


def compare(changed: Sequence[Pair], others: Sequence[Pair], margin: float) -> Verdict | None:
    """None while no device has labelled windows on both sides."""
    spread = dispersion([counts for pair in (*changed, *others) for counts in (pair.before, pair.after)])
    ours = change(changed, spread)
    if ours is None:
        return None
    theirs = change(others, spread)
    difference = ours.difference - (theirs.difference if theirs else 0.0)
    error = sqrt(ours.variance + (theirs.variance if theirs else 0.0))
    p_value = 0.5 * erfc(-(difference + margin) / error / sqrt(2.0))
    return Verdict(difference, error, p_value, spread, ours, theirs)


def change(pairs: Sequence[Pair], spread: float) -> Change | None:
    """The mean change of accuracy over devices, each weighted by n_b n_a / (n_b + n_a) of its windows before and
    after (inverse variance, were all equally right). None without a device that has both.
    """
    sums = [0.0, 0.0, 0.0]
    devices = labelled = 0
    for pair in pairs:
        n_b, n_a = pair.before.labelled, pair.after.labelled
        if not n_b or not n_a:
            continue
        weight = n_b * n_a / (n_b + n_a)
        difference = pair.after.correct / n_a - pair.before.correct / n_b
        variance = spread * (_variance(pair.before) + _variance(pair.after))
        sums[0] += weight
        sums[1] += weight * difference
        sums[2] += weight * weight * variance
        devices, labelled = devices + 1, labelled + n_a
    if not devices:
        return None
    return Change(devices, labelled, sums[1] / sums[0], sums[2] / sums[0] ** 2)


def dispersion(every: Sequence[Counts]) -> float:
    """Pearson's chi-square of the blocks over its degrees of freedom; at least 1."""
    chi_square, freedom = 0.0, 0
    for counts in every:
        share = counts.accuracy
        if share is None or not 0.0 < share < 1.0 or counts.blocks < 2:
            continue
        squares = counts.squares - 2 * share * counts.correct + share * share * counts.labelled
        chi_square += squares / (share * (1 - share))
        freedom += counts.blocks - 1
    return max(1.0, chi_square / freedom) if freedom else 1.0


def threshold(risk: float, look: int) -> float:
    """For the p-value of look 1, 2, ...; all together they spend `risk`."""
    return risk / (look * (look + 1))


def _variance(counts: Counts) -> float:
    n = counts.labelled + 2
    share = (counts.correct + 1) / n
    return share * (1 - share) / n
