"""Charging, heat and the time of day: when a long adaptation may begin. Pure: the time and the readings come in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time

from pydantic import BaseModel, ConfigDict, Field, field_validator

_HOURS = re.compile(r"(\d{2}):(\d{2})-(\d{2}):(\d{2})")


@dataclass(frozen=True, slots=True)
class Conditions:
    """The wearable as it is now; None where nobody can tell."""

    battery: float | None = None
    """Charge, 0 to 1."""
    charging: bool | None = None
    temperature_c: float | None = None


class Occasion(BaseModel):
    """What an adaptation that begins by itself waits for. Nothing set: it never waits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hours: tuple[str, ...] = Field(default=(), max_length=16, description="HH:MM-HH:MM, local time; over midnight, too")
    only_charging: bool = Field(default=False, description="on its charger")
    min_battery: float = Field(default=0.0, ge=0, le=1, description="charge, unless it is on its charger")
    max_temperature_c: float | None = Field(default=None, ge=-20, le=100)
    long_steps: int = Field(
        default=0, ge=0, description="fits with fewer optimiser steps wait for neither hours nor charger"
    )

    @field_validator("hours")
    @classmethod
    def _written(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            _span(one)
        return value

    def wait(self, steps: int, conditions: Conditions, now: datetime, *, asked_for: bool = False) -> str | None:
        """Why a fit of `steps` optimiser steps has to wait; None: it may begin.

        One that a person has `asked_for` waits for neither hours nor charger. What is limited and cannot be read
        holds it back: a limit that is silently passed over is none.
        """
        if self.max_temperature_c is not None:
            if conditions.temperature_c is None:
                return "nobody tells the wearable's temperature, and it is limited"
            if conditions.temperature_c > self.max_temperature_c:
                return f"the wearable is at {conditions.temperature_c:.0f} °C, {self.max_temperature_c:.0f} are allowed"
        if self.min_battery > 0 and not conditions.charging:
            if conditions.battery is None:
                return "nobody tells the battery's charge, and it is limited"
            if conditions.battery < self.min_battery:
                return f"the battery is at {conditions.battery:.0%}, {self.min_battery:.0%} are needed"
        if asked_for or steps < self.long_steps:
            return None
        if self.only_charging and not conditions.charging:
            return "the wearable is not on its charger" if conditions.charging is False else "nobody tells the charger"
        if self.hours and not any(_within(_span(one), now.time()) for one in self.hours):
            return f"it is {now:%H:%M}, adaptations begin {' or '.join(self.hours)}"
        return None


def _span(text: str) -> tuple[time, time]:
    match = _HOURS.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        numbers = [int(number) for number in match.groups()]
        return time(numbers[0], numbers[1]), time(numbers[2], numbers[3])
    except ValueError:
        raise ValueError(f"{text!r} is no span of time: write HH:MM-HH:MM, e.g. 22:00-06:30") from None


def _within(span: tuple[time, time], now: time) -> bool:
    """The first minute belongs to it, the last one does not; equal ends mean the whole day."""
    first, last = span
    if first == last:
        return True
    return first <= now < last if first < last else now >= first or now < last
