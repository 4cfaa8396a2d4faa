"""The cell of a virtual wearable, as its options state it; `device_agent/firmware/port/cell.h` has the model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import UserError

FOREVER_S = 2**32 - 1
#: Full fine-tuning of the EEG network with group norm (docs/measured.md), where no plan tells its own.
TRAINING_MJ = 2.5
#: A training window goes through the network three times: forward, weights' gradients, inputs' gradients.
PASSES = 3


@dataclass(frozen=True, slots=True)
class Cell:
    """What the wearable can tell of its charge, charger and temperature."""

    battery: float
    """At its start, 0 to 1."""
    plugged_s: tuple[int, int] = (0, 0)
    """On the charger from and to, seconds since its start."""
    capacity_mah: int = 150
    power_mw: float = 20.0
    """Drawn all the time, by front end and radio."""
    training_mj: float = TRAINING_MJ
    """For each window of a fit; an inference takes a third."""

    def settings(self, speed: float = 1.0) -> tuple[int, ...]:
        """Whole numbers in the order of `port/cell.h`. `speed`: how much faster than real time the cell ages."""
        training_uj = round(1000 * self.training_mj)
        return (
            round(1000 * self.battery), self.capacity_mah, round(1000 * self.power_mw), training_uj // PASSES,
            training_uj, *self.plugged_s, max(1, round(100 * speed)),
        )  # fmt: skip


def read_cell(
    battery: str | None, charging: bool, charger: str | None, capacity: int, power: float, plan: Path | None
) -> Cell | None:
    """The options of `biotrain wearable`; None when it has no cell. Raises UserError."""
    if battery is None:
        if charging or charger:
            raise UserError("--charging and --charger need a cell; say how full it is, for example --battery 20%")
        return None
    if charging and charger:
        raise UserError("--charging is for the whole time and --charger for a part of it: give one of the two")
    plugged = (0, FOREVER_S) if charging else (0, 0) if charger is None else _span(charger)
    return Cell(_share(battery), plugged, capacity, power, _training_mj(plan))


def _share(text: str) -> float:
    number, percent = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)(%?)", text.strip()), 1.0
    if number is not None:
        percent = float(number[1]) / (100 if number[2] else 1)
    if number is None or percent > 1:
        raise UserError(f"--battery {text}: expected a charge of 0% to 100%, for example 20% or 0.2")
    return percent


def _span(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,9})-(\d{1,9})", text.strip())
    if found is None or int(found[1]) >= int(found[2]):
        raise UserError(f"--charger {text}: expected seconds since the start, FROM-TO, for example 60-3600")
    return int(found[1]), int(found[2])


def _training_mj(plan: Path | None) -> float:
    from schemas.plan import read_plan

    if plan is None:
        return TRAINING_MJ
    try:
        told = read_plan(plan.read_bytes()).names.get("gap9", {}).get("energy_mj_per_sample")
    except (OSError, ValueError):
        return TRAINING_MJ  # the device itself refuses the file, and says why
    return float(told) if told else TRAINING_MJ
