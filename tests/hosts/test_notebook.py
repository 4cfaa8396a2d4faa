"""The notebook runs from its first cell to its last on a supervisor's store."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts.test_tensorboard import stored

pytest.importorskip("pandas")
CHECK = """
assert len(accuracy) == 2, accuracy
for device, lines in accuracy.items():
    assert list(lines) == ["adapted", "frozen"]
    rows = telemetry[telemetry["device"] == device]
    whole = rows["correct"].iloc[-12:].sum() / rows["labelled"].iloc[-12:].sum()
    assert abs(lines["adapted"].iloc[-1] - whole) < 0.1
    assert lines["adapted"].between(0, 1).all()
assert set(adaptations["phase"]) == {"committed", "rolled_back"}
assert len(drift) >= 2
assert len(figure.axes) == 2
"""


@pytest.mark.slow
async def test_every_cell_runs_and_says_what_the_store_holds(tmp_path: Path, repository: Path) -> None:
    notebook = json.loads((repository / "examples" / "store.ipynb").read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert all("id" in cell for cell in notebook["cells"])
    assert not any(cell.get("outputs") for cell in notebook["cells"]), "outputs are the reader's own"
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    store, _ = await stored(tmp_path)
    script = tmp_path / "cells.py"
    script.write_text("\n".join(["import matplotlib", "matplotlib.use('agg')", *cells, CHECK]))
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False,
        env={"BIOTRAIN_STORE": store, "PATH": "/usr/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
