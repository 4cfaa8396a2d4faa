"""Every detector of the registry notices a change, holds its claim, and is documented where it is registered."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from device_agent.drift.registry import ERROR_DETECTORS, error_detector
from schemas.errors import UserError


@pytest.mark.parametrize("name", list(ERROR_DETECTORS))
def test_it_notices_a_change_and_holds_its_claim(name: str) -> None:
    if name != "page-hinkley":
        pytest.importorskip("river")
    rng = random.Random(3)
    detector = error_detector(name, 0.05)
    for rate, count in ((0.05, 400), (0.9, 400)):
        for _ in range(count):
            detector.update(float(rng.random() < rate))
    assert detector.drift_detected
    assert detector.name == name
    assert 0 <= detector.change_point < 800
    detector.reset()
    assert not detector.drift_detected


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="page-hinkley"):
        error_detector("nonsense", 0.1)


def test_river_is_imported_only_when_it_is_asked_for() -> None:
    program = (
        "import sys; from device_agent.drift.registry import error_detector; error_detector('page-hinkley', 0.1);"
        "print(any(name == 'river' or name.startswith('river.') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
