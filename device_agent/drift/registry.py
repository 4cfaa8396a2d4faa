"""Detectors by name: to add one, write one file and add one line here."""

from __future__ import annotations

from collections.abc import Callable

from device_agent.drift.detector import Detector
from device_agent.drift.page_hinkley import PageHinkley
from device_agent.drift.river_detectors import NAMES as RIVER
from device_agent.drift.river_detectors import RiverDetector
from schemas.errors import UserError


def _river(name: str) -> Callable[[float | None], Detector]:
    return lambda reference: RiverDetector(name)


#: name -> maker, which is given the error rate that is normal (None: not known, learn it).
ERROR_DETECTORS: dict[str, Callable[[float | None], Detector]] = {
    # delta: errors up to ten points above the reference are the noise of small samples and of hard postures.
    # threshold: at an error rate 40 points above that, 16 windows; on the reference, practically never.
    "page-hinkley": lambda reference: PageHinkley(reference=reference, delta=0.10, threshold=5.0, alpha=1.0, mode="up"),
    **{name: _river(name) for name in RIVER},
}


def error_detector(name: str, reference: float | None) -> Detector:
    """Raises UserError for a name that is not known, or where river is needed and missing."""
    if name not in ERROR_DETECTORS:
        raise UserError(f"detector {name!r} is not known: choose one of {', '.join(ERROR_DETECTORS)}")
    return ERROR_DETECTORS[name](reference)
