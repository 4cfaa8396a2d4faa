"""river's detectors behind this project's interface; river is imported only when one of them is asked for."""

from __future__ import annotations

import importlib
from typing import Any

from schemas.errors import UserError

#: name -> module and class. The modules are named one by one: `from river.drift import *` fails in river 0.26.
_CLASSES = {
    "adwin": ("river.drift.adwin", "ADWIN"),
    "kswin": ("river.drift.kswin", "KSWIN"),
    "river-page-hinkley": ("river.drift.page_hinkley", "PageHinkley"),
    "ddm": ("river.drift.binary.ddm", "DDM"),
    "hddm-a": ("river.drift.binary.hddm_a", "HDDMA"),
    "hddm-w": ("river.drift.binary.hddm_w", "HDDMW"),
}
NAMES = tuple(_CLASSES)
#: The same answer for the same numbers: KSWIN draws its comparison windows.
_FIXED: dict[str, dict[str, Any]] = {"kswin": {"seed": 1}}
_BINARY = ("ddm", "hddm-a", "hddm-w")


class RiverDetector:
    """A river detector that, unlike river's own, stays detected until it is reset."""

    def __init__(self, name: str, **parameters: Any) -> None:
        module, cls = _CLASSES[name]
        try:
            self._class = getattr(importlib.import_module(module), cls)
        except ImportError:
            raise UserError(f"detector {name!r} needs river: install it with `pip install 'biotrain[river]'`") from None
        self._name, self._parameters = name, {**_FIXED.get(name, {}), **parameters}
        self.reset()

    @property
    def name(self) -> str:
        return self._name

    def reset(self) -> None:
        self._detector = self._class(**self._parameters)
        self._count = 0
        self._detected = False
        self._width = 0

    def update(self, x: float) -> None:
        self._detector.update(bool(x) if self._name in _BINARY else x)
        self._count += 1
        if self._detector.drift_detected and not self._detected:
            self._detected = True
            # ADWIN keeps what came after the change: its window's width tells where that began.
            self._width = int(getattr(self._detector, "width", 1))

    @property
    def drift_detected(self) -> bool:
        return self._detected

    @property
    def statistic(self) -> tuple[float, float]:
        return float(self._detected), 1.0

    @property
    def change_point(self) -> int:
        return max(self._count - max(self._width, 1), 0)
