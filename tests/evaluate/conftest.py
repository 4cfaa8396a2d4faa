"""Four simulated people with two short sessions each, as a data set with a split by repetition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_agent.sources.simulator import SimulatedPerson


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    for seed in (1, 2, 3):
        for session in (1, 2):
            r = SimulatedPerson(seed).session(session, 44)
            # 250 samples of 4: quick to learn
            np.savez(
                folder / f"{r.subject}_session{session}.npz", x=r.counts[:, :, ::4], scale=r.scale,
                y=r.labels.astype(np.int8), fs=125.0, classes=np.array(r.classes), ch_names=np.array(r.channels),
                subject=r.subject, session=session, onset_s=r.onsets_s,
            )  # fmt: skip
    (folder / "dataset.yaml").write_text("name: small\nsplit: {test_share: 0.25}\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")
