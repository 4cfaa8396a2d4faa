"""Where battery, charger and temperature are read: what the wearable tells, or a file that another program writes."""

from __future__ import annotations

import time
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from device_agent.adaptation.occasion import Conditions
from device_agent.wearable.api import WearableStatistics

_log = structlog.get_logger("agent")
_OLD_S = 300.0
"""A file that was not written for so long says nothing of now."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    battery: float | None = Field(default=None, ge=0, le=1)
    charging: bool | None = None
    temperature_c: float | None = Field(default=None, ge=-100, le=200)


class ConditionsReader:
    """What a file says goes before what the wearable tells: somebody has put it there."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._complained = path, ""

    def read(self, statistics: WearableStatistics | None) -> Conditions:
        told = told_by(statistics)
        file = self._read_file()
        if file is None:
            return told
        return Conditions(
            told.battery if file.battery is None else file.battery,
            told.charging if file.charging is None else file.charging,
            told.temperature_c if file.temperature_c is None else file.temperature_c,
        )

    def _read_file(self) -> _File | None:
        if self._path is None:
            return None
        try:
            if time.time() - self._path.stat().st_mtime > _OLD_S:
                raise ValueError(f"it was not written for {_OLD_S:g} s")
            read = _File.model_validate_json(self._path.read_bytes())
        except (OSError, ValueError) as error:
            why = str(error.errors(include_url=False)[0]["msg"]) if isinstance(error, ValidationError) else str(error)
            if why != self._complained:
                _log.warning("the conditions file says nothing", file=str(self._path), reason=why)
            self._complained = why
            return None
        self._complained = ""
        return read


def told_by(statistics: WearableStatistics | None) -> Conditions:
    """From the counters `battery_permille`, `charging` and `temperature_decicelsius`, where the firmware has them."""
    extra = {} if statistics is None else statistics.extra
    battery, charging = extra.get("battery_permille"), extra.get("charging")
    temperature = extra.get("temperature_decicelsius")
    return Conditions(
        None if battery is None else min(max(battery / 1000, 0.0), 1.0),
        None if charging is None else bool(charging),
        None if temperature is None else temperature / 10,
    )
