"""Fixtures shared by all tests: where recordings lie, where a test's own files go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import Phase, settings

# Before anything imports torch: on a busy machine its threads would wait for each other most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# For tools/mutation.py: that an example fails is enough there, the smallest one is of no use.
settings.register_profile("mutation", phases=[Phase.explicit, Phase.generate])

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests live with processes, emulators and wall clocks: one that fails runs once more.

    What is wrong fails twice. What ran again is named at the end of the output ("RERUN"), so that nobody grows used
    to it.
    """
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recordings: BIOTRAIN_DATA, or `../shared/data` beside the repository."""
    named = os.environ.get("BIOTRAIN_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no recordings: set BIOTRAIN_DATA to their folder ({folder} does not exist)")
    return folder


@pytest.fixture(scope="session")
def emg_forearm(recordings: Path) -> Path:
    """Hand gestures, forearm EMG, five people over eight days."""
    folder = recordings / "emg_forearm"
    if not folder.is_dir():
        pytest.skip(f"no EMG recordings in {recordings}")
    return folder
