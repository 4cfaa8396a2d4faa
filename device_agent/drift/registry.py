"""Detectors by name: to add one, write one file and add one line here."""

from __future__ import annotations

from collections.abc import Callable

from device_agent.drift.detector import Detector
from device_agent.drift.page_hinkley import PageHinkley
from device_agent.drift.river_detectors import NAMES as RIVER
from device_agent.drift.river_detectors import RiverDetector
from device_agent.drift.thresholds import error_threshold
from schemas.errors import UserError


def _river(name: str) -> Callable[[float | None], Detector]:
    return lambda reference: RiverDetector(name)


_TOLERANCE = 0.10
"""Errors up to ten points above the reference are the noise of small samples and of hard postures."""
_THRESHOLD = 5.0
"""Where there was no calibration, and nobody knows how many errors are normal."""


def _page_hinkley(reference: float | None) -> Detector:
    """Its threshold follows from the reference: whoever makes few errors is watched more closely."""
    known = reference is not None and 0.0 < reference < 1.0
    threshold = error_threshold(round(reference, 3), _TOLERANCE) if known and reference is not None else _THRESHOLD
    return PageHinkley(reference=reference, delta=_TOLERANCE, threshold=threshold, alpha=1.0, mode="up")


#: name -> maker, which is given the error rate that is normal (None: not known, learn it).
ERROR_DETECTORS: dict[str, Callable[[float | None], Detector]] = {
    "page-hinkley": _page_hinkley,
    **{name: _river(name) for name in RIVER},
}


def error_detector(name: str, reference: float | None) -> Detector:
    """Raises UserError for a name that is not known, or where river is needed and missing."""
    if name not in ERROR_DETECTORS:
        raise UserError(f"detector {name!r} is not known: choose one of {', '.join(ERROR_DETECTORS)}")
    return ERROR_DETECTORS[name](reference)
