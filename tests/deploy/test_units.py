"""The systemd units: systemd takes them, finds little to attack, and their options are those of our commands."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = ["biotrain-supervisor.service", "biotrain-agent@.service"]
#: systemd's own scale, 0 to 10; it calls what is above 4 medium.
LARGEST_EXPOSURE = 2.0


@pytest.fixture
def folder(repository: Path) -> Path:
    return repository / "deploy" / "systemd"


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    binary = shutil.which("systemd-analyze")
    if binary is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run([binary, *words], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_takes_the_unit(folder: Path, unit: str, tmp_path: Path) -> None:
    copy = tmp_path / unit
    copy.write_text((folder / unit).read_text().replace("/opt/biotrain/bin/biotrain", sys.executable))
    said = analyze("verify", str(copy))
    assert said.stderr.strip() == ""
    assert said.returncode == 0


@pytest.mark.parametrize("unit", UNITS)
def test_little_is_left_to_attack(folder: Path, unit: str) -> None:
    said = analyze("security", "--offline=true", "--no-pager", str(folder / unit))
    if "unrecognized option" in said.stderr:
        pytest.skip("this systemd-analyze has no --offline")
    match = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said.stdout)
    assert match is not None, said.stderr
    assert float(match.group(1)) <= LARGEST_EXPOSURE


@pytest.mark.parametrize("unit", UNITS)
def test_its_command_knows_the_options_that_it_is_given(folder: Path, unit: str) -> None:
    (line,) = re.findall(r"^ExecStart=/opt/biotrain/bin/biotrain (.+)$", (folder / unit).read_text(), re.MULTILINE)
    command, *words = line.split()
    done = subprocess.run(
        [sys.executable, "-m", "biotrain", command, "--help"],
        capture_output=True, text=True, timeout=60, check=True, env={"COLUMNS": "200", "TERM": "dumb"},
    )  # fmt: skip
    assert [word for word in words if word.startswith("--") and word not in done.stdout] == []


@pytest.mark.parametrize("unit", UNITS)
def test_it_is_started_again_however_often_it_fails(folder: Path, unit: str) -> None:
    """A supervisor leaves when its database is not there yet, five times within ten seconds if need be."""
    text = (folder / unit).read_text()
    assert "\nRestart=on-failure\n" in text
    assert "\nStartLimitIntervalSec=0\n" in text[: text.index("[Service]")]


@pytest.mark.parametrize("unit", UNITS)
def test_no_secret_stands_in_a_unit(folder: Path, unit: str) -> None:
    text = (folder / unit).read_text()
    assert re.findall(r"^Environment=.*(?:PASSWORD|TOKEN|SECRET|PASSPHRASE)", text, re.MULTILINE) == []
