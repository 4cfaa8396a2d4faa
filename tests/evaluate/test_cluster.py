"""`--scheduler ADDRESS`: a Dask scheduler and a worker, each a process of its own, as on a cluster."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from biotrain.evaluate import study
from schemas.errors import UserError

pytest.importorskip("distributed")


@contextmanager
def running(*words: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", *words], stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def evaluate(small_set: Path, cache: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    words = ["evaluate", "day1", "--data", str(small_set), "--model", "epidenet-short", "--epochs", "1"]
    words += ["--pretrain-epochs", "2", "--modes", "none,last-layer", "--subjects", "sim1,sim3"]
    words += ["--out", str(out), "--cache", str(cache), "--json", *more]
    return subprocess.run(
        [sys.executable, "-m", "biotrain", *words], capture_output=True, text=True, timeout=170, check=False
    )


@pytest.mark.slow
def test_a_cluster_gives_what_this_machine_gives(small_set: Path, cache: Path, tmp_path: Path) -> None:
    where = tmp_path / "scheduler.json"
    with ExitStack() as cluster:
        cluster.enter_context(
            running(
                "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                "--no-jupyter", "--scheduler-file", str(where), log=tmp_path / "scheduler.log",
            )
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not where.is_file() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert where.is_file(), (tmp_path / "scheduler.log").read_text()
        cluster.enter_context(
            running(
                "distributed.cli.dask_worker", "--scheduler-file", str(where), "--nthreads", "1", "--no-nanny",
                "--no-dashboard", "--local-directory", str(tmp_path / "worker"), log=tmp_path / "worker.log",
            )
        )  # fmt: skip
        address = json.loads(where.read_text())["address"]
        there = evaluate(small_set, cache, tmp_path / "there", "--scheduler", address)
    assert there.returncode == 0, there.stderr
    worked = (tmp_path / "worker.log").read_text()
    assert "Traceback" not in worked
    here = evaluate(small_set, cache, tmp_path / "here", "--jobs", "1")
    assert json.loads(there.stdout)["subjects"] == json.loads(here.stdout)["subjects"]
    assert set(json.loads(there.stdout)["subjects"]) == {"sim1", "sim3"}


def test_no_scheduler_there_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "_ANSWER_TIMEOUT_S", 0.5)
    with pytest.raises(UserError, match=r"--scheduler tcp://127.0.0.1:1: no Dask scheduler answers there"):
        study.run_jobs(print, [1], str, scheduler="tcp://127.0.0.1:1")
