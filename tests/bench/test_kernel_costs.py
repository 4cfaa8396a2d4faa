"""What the kernels cost on RISC-V: counted, the same in every run."""

from __future__ import annotations

import json
import shutil

import pytest

from biotrain.bench.kernels import count_kernels
from biotrain.bench.layers import REFERENCE
from biotrain.cli import main
from biotrain.riscv.image import COMPILER, EMULATOR

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def cross_tools() -> None:
    for name in (COMPILER, EMULATOR):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed: apt-get install gcc-riscv64-unknown-elf qemu-system-misc")


def test_instructions_are_the_same_in_every_run():
    once, again = count_kernels([REFERENCE]), count_kernels([REFERENCE])
    assert once == again


def test_a_training_windows_instructions_are_counted(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "step", "--model", "epidenet", "--port", "riscv", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert 1_000_000 < report["instructions_per_sample"] < 8_000_000
