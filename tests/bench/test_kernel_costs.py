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


def test_the_kernels_of_the_published_layer_take_few_instructions():
    """PULP-TrainLib's: 2.58, 2.29 and 6.63."""
    (cost,) = count_kernels([REFERENCE])
    per_mac = cost.per_mac()
    assert per_mac["forward"] <= 1.5
    assert per_mac["weight_gradient"] <= 1.5
    assert per_mac["input_gradient"] <= 1.7


def test_gap9s_figures_come_from_counted_instructions(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "gap9", "--model", "epidenet", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["gap9"]["basis"].startswith("model: instructions counted")
    path, whole = report["path_instructions_per_sample"], report["instructions_per_sample"]
    assert whole / 8 < path < whole  # no more than eight cores share it
    least = path * report["cycles_per_instruction"]
    cycles = report["gap9"]
    assert least <= cycles["cycles_with_dma_per_sample"] < 1.2 * least
    waiting = cycles["cycles_per_sample"] - cycles["l2_stall_cycles_per_sample"]
    assert abs(waiting - cycles["cycles_with_dma_per_sample"]) <= 1
    assert report["gap9"]["energy_mj_per_sample"] < 0.56  # the paper's
