"""Which firmware understands what: the compatibility table of docs/link-protocol.md, and a word on skew."""

from __future__ import annotations

import re
from dataclasses import dataclass

from schemas.link.opcodes import Capability


@dataclass(frozen=True, slots=True)
class Release:
    """A firmware that was given to people. A test takes each row through a handshake and what it can and cannot."""

    firmware: str
    protocol: int
    capabilities: Capability
    lacks: str
    """What an agent of today has to do without; "" for nothing."""


RELEASES = (
    Release(
        "0.1.0",
        1,
        Capability(0),
        "it takes fits of SGD with momentum and decay only, no plans of exact batch norm, and keeps the weights of one "
        "person",
    ),
    Release(
        "0.2.0",
        1,
        Capability.FIT_SETTINGS | Capability.WEARERS,
        "it knows no keys, so it takes plans that nobody has signed, and none that somebody has",
    ),
    Release("0.3.0", 1, Capability.FIT_SETTINGS | Capability.WEARERS | Capability.TRUST, ""),
)
NEWEST = RELEASES[-1]


def skew(firmware: str, capabilities: int) -> str:
    """What a person should know of a wearable's firmware that is not this agent's: a sentence, "" when they match."""
    if _number(firmware) > _number(NEWEST.firmware) or capabilities & ~NEWEST.capabilities:
        return (
            f"the firmware {firmware} is newer than this agent knows ({NEWEST.firmware}): what it adds is not used; "
            "update biotrain"
        )
    older = [release for release in RELEASES if _number(firmware) >= _number(release.firmware)]
    lacks = older[-1].lacks if older else "what it can is not known"
    return f"the firmware {firmware} is older than {NEWEST.firmware}: {lacks}; update it" if lacks else ""


def _number(version: str) -> tuple[int, ...]:
    """0.10.1 is newer than 0.9; what is no number comes first."""
    return tuple(int(part) for part in re.findall(r"\d+", version))
