"""When a long adaptation may begin: charger, battery, heat, hours."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from device_agent.adaptation.occasion import Conditions, Occasion
from device_agent.conditions import ConditionsReader, told_by
from device_agent.wearable.api import WearableStatistics

NOON = datetime(2026, 3, 1, 12, 0)  # noqa: DTZ001  local time is meant
FINE = Conditions(battery=0.9, charging=True, temperature_c=30.0)


def at(hour: int, minute: int = 0) -> datetime:
    return NOON.replace(hour=hour, minute=minute)


def test_nothing_set_waits_for_nothing() -> None:
    assert Occasion().wait(1000, Conditions(), NOON) is None


@pytest.mark.parametrize(("now", "may"), [(at(21, 59), False), (at(22), True), (at(3), True), (at(6, 30), False)])
def test_hours_may_go_over_midnight_and_end_before_their_last_minute(now: datetime, may: bool) -> None:
    waits = Occasion(hours=("22:00-06:30",)).wait(100, FINE, now)
    assert (waits is None) is may
    if not may:
        assert waits == f"it is {now:%H:%M}, adaptations begin 22:00-06:30"


def test_any_of_several_spans_will_do_and_equal_ends_mean_the_whole_day() -> None:
    assert Occasion(hours=("01:00-02:00", "11:00-13:00")).wait(1, FINE, NOON) is None
    assert Occasion(hours=("05:00-05:00",)).wait(1, FINE, NOON) is None


@pytest.mark.parametrize(
    ("occasion", "conditions", "said"),
    [
        ({"only_charging": True}, Conditions(charging=False), "the wearable is not on its charger"),
        ({"only_charging": True}, Conditions(), "nobody tells the charger"),
        ({"min_battery": 0.5}, Conditions(battery=0.31), "the battery is at 31%, 50% are needed"),
        ({"min_battery": 0.5}, Conditions(), "nobody tells the battery's charge, and it is limited"),
        ({"max_temperature_c": 38}, Conditions(temperature_c=41.2), "the wearable is at 41 °C, 38 are allowed"),
        ({"max_temperature_c": 38}, Conditions(), "nobody tells the wearable's temperature, and it is limited"),
    ],
)
def test_what_is_limited_and_not_met_or_not_told_holds_a_fit_back(occasion, conditions, said: str) -> None:
    assert Occasion(**occasion).wait(100, conditions, NOON) == said
    assert Occasion(**occasion).wait(100, FINE, NOON) is None


def test_a_charger_makes_up_for_an_empty_battery() -> None:
    assert Occasion(min_battery=0.5).wait(1, Conditions(battery=0.1, charging=True), NOON) is None


def test_short_fits_and_those_a_person_asks_for_wait_for_neither_hours_nor_charger_but_for_heat() -> None:
    night = Occasion(hours=("22:00-06:00",), only_charging=True, max_temperature_c=38, long_steps=50)
    cool, hot = Conditions(charging=False, temperature_c=30), Conditions(charging=True, temperature_c=40)
    assert night.wait(49, cool, NOON) is None
    assert night.wait(50, cool, NOON) is not None
    assert night.wait(50, cool, NOON, asked_for=True) is None
    assert night.wait(1, hot, NOON, asked_for=True) is not None


@pytest.mark.parametrize("text", ["22-06", "25:00-06:00", "22:00-06:61", "night"])
def test_a_span_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValidationError, match=r"write HH:MM-HH:MM, e\.g\. 22:00-06:30"):
        Occasion(hours=(text,))


def test_conditions_come_from_the_wearable_and_a_file_goes_before_it(tmp_path: Path) -> None:
    said = {"battery_permille": 420, "charging": 0, "temperature_decicelsius": 315}
    told = WearableStatistics(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, fitting=False, candidate=False, extra=said)
    assert told_by(told) == Conditions(0.42, False, 31.5)
    assert told_by(None) == Conditions()
    file = tmp_path / "conditions.json"
    file.write_text(json.dumps({"charging": True}))
    reader = ConditionsReader(file)
    assert reader.read(told) == Conditions(0.42, True, 31.5)
    file.write_text('{"chargin": true}')
    assert reader.read(told) == told_by(told)
    file.write_text(json.dumps({"charging": True}))
    os.utime(file, (1, 1))
    assert reader.read(told) == told_by(told), "an old file says nothing of now"
