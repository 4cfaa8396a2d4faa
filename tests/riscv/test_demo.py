import json
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_the_whole_loop_runs_with_the_risc_v_image_as_the_wearable(tmp_path, wearable_image):
    words = ["demo", "--port", "riscv", "--headless", "--json", "--trials", "66", "--speed", "10"]
    done = subprocess.run(
        [sys.executable, "-m", "biotrain", *words, "--dir", str(tmp_path / "demo")],
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["windows"] == 20 + 2 * 66  # what calibration left of the first session, and two more
    assert summary["windows_dropped"] == 0
    assert summary["adaptations"]["failed"] == 0
    # sessions this short leave the guard few windows: it may keep the old weights, but the fit must end in a verdict
    log = [json.loads(line)["kind"] for line in (tmp_path / "demo/wearable/events.jsonl").read_text().splitlines()]
    assert "FIT_DONE" in log
    assert log.count("FIT_STARTED") == log.count("COMMITTED") + log.count("DISCARDED")
    assert summary["stored"] == summary["published"] > 0
    assert summary["check"]["problems"] == []
    assert summary["restarts"]["wearable"] == 0
    assert (tmp_path / "demo" / "wearable" / "flash.riscv" / "storage").is_symlink()
