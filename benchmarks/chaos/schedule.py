"""What goes wrong when, from a seed: the same seed and options give the same list."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    KILL_BROKER = "kill_broker"
    KILL_SUPERVISOR = "kill_supervisor"
    STOP_DATABASE = "stop_database"
    """PostgreSQL: every process of it is killed. SQLite: somebody else holds the file's write lock."""
    KILL_AGENT = "kill_agent"
    KILL_WEARABLE = "kill_wearable"
    CUT_LINK = "cut_link"
    """Connections between agent and wearable are reset."""
    HOLD_LINK = "hold_link"
    """Nothing passes between agent and wearable, and nobody is told: a partition."""
    LOSE_ON_LINK = "lose_on_link"
    """A share of what passes between agent and wearable is left out; its frames are numbered and repeated."""
    CUT_AGENT = "cut_agent"
    """Connections between an agent process and the broker are reset."""
    HOLD_AGENT = "hold_agent"
    DELAY_AGENT = "delay_agent"
    CUT_SUPERVISOR = "cut_supervisor"
    HOLD_SUPERVISOR = "hold_supervisor"
    DELAY_SUPERVISOR = "delay_supervisor"
    NETWORK_DOWN = "network_down"
    """In a network namespace of its own: the kernel's interface is down, for everybody."""
    COMMAND = "command"
    """No fault: an operator asks a device for something meanwhile."""


_PER_DEVICE = (
    FaultKind.KILL_WEARABLE,
    FaultKind.CUT_LINK,
    FaultKind.HOLD_LINK,
    FaultKind.LOSE_ON_LINK,
    FaultKind.COMMAND,
)
_PER_AGENT = (FaultKind.KILL_AGENT, FaultKind.CUT_AGENT, FaultKind.HOLD_AGENT, FaultKind.DELAY_AGENT)

_LASTS_S: dict[FaultKind, tuple[float, float]] = {
    FaultKind.KILL_BROKER: (0.1, 5.0),
    FaultKind.KILL_SUPERVISOR: (0.1, 6.0),
    FaultKind.STOP_DATABASE: (0.5, 8.0),
    FaultKind.KILL_AGENT: (0.1, 4.0),
    FaultKind.KILL_WEARABLE: (0.1, 4.0),
    FaultKind.HOLD_LINK: (0.5, 6.0),
    FaultKind.LOSE_ON_LINK: (2.0, 8.0),
    FaultKind.HOLD_AGENT: (0.5, 12.0),
    FaultKind.DELAY_AGENT: (2.0, 10.0),
    FaultKind.HOLD_SUPERVISOR: (0.5, 12.0),
    FaultKind.DELAY_SUPERVISOR: (2.0, 10.0),
    FaultKind.NETWORK_DOWN: (0.5, 5.0),
}
_AMOUNT: dict[FaultKind, tuple[float, float]] = {
    FaultKind.LOSE_ON_LINK: (0.02, 0.2),
    FaultKind.DELAY_AGENT: (0.02, 0.5),
    FaultKind.DELAY_SUPERVISOR: (0.02, 0.5),
}
"""Of `lose_on_link` a share, of the others seconds, each way."""


@dataclass(frozen=True, slots=True)
class Fault:
    at_s: float
    """Since the chaos began."""
    kind: FaultKind
    target: int = 0
    """Of devices or agent processes, whichever the kind is about."""
    lasts_s: float = 0.0
    amount: float = 0.0


def schedule(
    seed: int, seconds: float, *, devices: int, agents: int, every_s: float, without: Sequence[FaultKind] = ()
) -> list[Fault]:
    """One fault every `every_s` on average. Each kind comes once before any comes again."""
    if seconds <= 0 or every_s <= 0 or devices < 1 or agents < 1:
        raise ValueError(f"{seconds=}, {every_s=}, {devices=}, {agents=}: expected all above 0")
    rng = random.Random(seed)
    kinds = _in_turns(rng, [kind for kind in FaultKind if kind not in without])
    faults = []
    at_s = rng.uniform(0.2, 1.0) * every_s
    while at_s < seconds:
        kind = next(kinds)
        several = devices if kind in _PER_DEVICE else agents if kind in _PER_AGENT else 1
        lasts_s = rng.uniform(*_LASTS_S.get(kind, (0.0, 0.0)))
        faults.append(
            Fault(
                round(at_s, 3),
                kind,
                rng.randrange(several),
                round(min(lasts_s, seconds - at_s), 3),
                round(rng.uniform(*_AMOUNT.get(kind, (0.0, 0.0))), 4),
            )
        )
        at_s += rng.uniform(0.3, 1.7) * every_s
    return faults


def _in_turns(rng: random.Random, kinds: list[FaultKind]) -> Iterator[FaultKind]:
    while True:
        rng.shuffle(kinds)
        yield from kinds
