"""The agent without one of its parts after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from biotrain.evaluate.faults import SCENARIOS
from device_agent.adaptation.policy import Diet, PolicySettings
from device_agent.drift.quality import FaultChange, SignalQuality
from device_agent.sources.window import Window
from device_agent.wearable.api import WindowReport

FAULT_FIRST, FAULT_LAST = 40, 100
"""Trials of every streamed session that are spoilt, where a variant spoils them."""
_DEFAULT = PolicySettings()
_EVER = 1_000_000
"""Windows: more than any stream has."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What is other than the default."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the agent."""
    policy: PolicySettings = _DEFAULT
    mode: str = "full"
    """What the plan trains."""
    gate: bool = True
    spoilt: bool = False
    """One electrode has a gain that is far too high, for part of every session."""


class Ungated(SignalQuality):
    """Finds nothing wrong with any window."""

    def check(self, report: WindowReport, window: Window | None = None) -> tuple[bool, list[FaultChange]]:
        return False, []


FAULT = next(scenario for scenario in SCENARIOS if scenario.name == "gain far too high")
_DETECTORS = ("adwin", "kswin", "river-page-hinkley", "ddm", "hddm-a", "hddm-w")

VARIANTS: Mapping[str, Variant] = {
    "agent (default)": Variant(),
    "never adapting": Variant({"adapt": "never"}),
    **{f"detector {name}": Variant({"detector": name}) for name in _DETECTORS},
    "guard off": Variant({"risk": 0.99}),
    "guard, risk 1 %": Variant({"risk": 0.01}),
    "no replay": Variant(
        policy=PolicySettings(first=Diet(_DEFAULT.first.recent, 0), refine=Diet(_DEFAULT.refine.recent, 0))
    ),
    "no replay of the first session": Variant(policy=PolicySettings(home_share=0.0)),
    "four fifths of replay from the first session": Variant(policy=PolicySettings(home_share=0.8)),
    "attempts in vain learn from no more": Variant(policy=PolicySettings(more=0)),
    "no check on older windows": Variant(policy=PolicySettings(control=0)),
    "one fit for each alert": Variant(policy=PolicySettings(every=_DEFAULT.longest_pause)),
    "refining where all is right, too": Variant(policy=PolicySettings(mend_only=False)),
    "refinements never cheaper": Variant(policy=PolicySettings(few=0, grace=_EVER)),
    "refinements always cheaper": Variant(policy=PolicySettings(few=_EVER)),
    "first fit after 10 windows": Variant(policy=PolicySettings(min_new=10)),
    "trials of 4 windows": Variant(policy=PolicySettings(trial=4)),
    "last layer only": Variant(mode="last-layer"),
    "norms only": Variant(mode="norm-only"),
    "half the energy": Variant({"energy_mj_per_day": "half"}),
    "electrode faults, gate": Variant(spoilt=True),
    "electrode faults, no gate": Variant(spoilt=True, gate=False),
}
"""Row of the table -> what is other. `half` of the energy is of what the default took for the same person and seed."""
