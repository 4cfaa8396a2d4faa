"""Something is wrong with an electrode, a clock or a link. Never counted as drift."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from schemas.base import Sequenced


class FaultKind(StrEnum):
    """What is wrong with the signal or with the way here: never drift, and never learned from."""

    FLAT_LINE = "flat_line"
    SATURATION = "saturation"
    NOT_FINITE = "not_finite"
    MAINS_HUM = "mains_hum"
    DISCONNECTED = "disconnected"
    ELECTRODE_POP = "electrode_pop"
    SWAPPED_ELECTRODES = "swapped_electrodes"
    CLOCK_GAP = "clock_gap"
    WINDOWS_LOST = "windows_lost"
    WEARABLE_LOST = "wearable_lost"
    LINK_CORRUPT = "link_corrupt"
    DISK_FULL = "disk_full"
    SOURCE_SILENT = "source_silent"


class Fault(Sequenced):
    """One fault, when it begins (`active`) and when it has passed."""

    SCHEMA: ClassVar[str] = "biotrain.fault/1"

    fault: FaultKind
    active: bool
    window: int = Field(ge=0)
    channels: list[str] = Field(default_factory=list)
    detail: str = Field(default="", max_length=500)
