"""The device's readers under libFuzzer with address and undefined-behaviour sanitizers.

For longer: BIOTRAIN_FUZZ_SECONDS=600 pytest tests/fuzz -m slow
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from torch import nn

from device_agent.compiler.compile import compile_model
from device_agent.compiler.normalise import Norm
from device_agent.compiler.preprocessing import Preprocessing
from tests.compiled import signal
from tests.runtime.handmade import tiny_plan
from tests.runtime.test_loops import VIEWS, tiles_through_l1_and_l3
from tests.runtime.test_preprocessing import everything


class Small(nn.Module):
    """Few values, many operators."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 2, (1, 3), padding=(0, 1)), nn.BatchNorm2d(2)
        self.again, self.layer = nn.Conv2d(2, 2, (2, 3), dilation=(1, 2), groups=2), nn.LayerNorm(8)
        self.linear = nn.Linear(8, 2)

    def forward(self, x):
        x = torch.cat([torch.relu(self.norm(self.conv(x))), x * x], 1)
        x = self.layer(nn.functional.gelu(self.again(x[:, :2])))
        x = nn.functional.avg_pool2d(nn.functional.elu(x + x), (1, 3), padding=(0, 1))
        return self.linear(torch.flatten(nn.functional.adaptive_max_pool2d(x.permute(0, 1, 3, 2), (2, 2)), 1))


def seeds(folder: Path) -> None:
    torch.manual_seed(0)
    small, steps = Small(), everything()
    plan = compile_model(small, signal(3, 12, 2), name="small", model_channels=2, preprocessing=steps)
    batch = compile_model(small, signal(2, 12, 2), name="batch", norm=Norm.BATCH, batch=3)
    plain = compile_model(
        nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), signal(2, 8, 2), name="plain", preprocessing=Preprocessing()
    )
    files = {
        "tiny": tiny_plan(),
        "loops": tiny_plan(tiles_through_l1_and_l3(), VIEWS),
        "small": plan.file,
        "plain": plain.file,
        "batch": batch.file,
        "weights": plan.weights_file(small),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)


def build(repository: Path, into: Path) -> Path:
    runtime = repository / "device_agent/firmware/runtime"
    sources = [repository / "tests/fuzz/readers.c", *sorted(runtime.glob("*.c")), *sorted(runtime.glob("kernels/*.c"))]
    options = ["-std=c11", "-O1", "-g", "-ffp-contract=off", "-DBT_KERNEL_SET=base", "-DBT_MAX_WORK=3000000u"]
    options += ["-DBT_ONLY_BASE_KERNELS", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
    includes = [f"-I{runtime}", f"-I{runtime.parent / 'include'}"]
    target = into / "readers"
    subprocess.run(["clang", *options, *includes, *map(str, sources), "-lm", "-o", str(target)], check=True)
    return target


def can_fuzz(folder: Path) -> bool:
    """clang is there, and with it the library that -fsanitize=fuzzer links."""
    if not shutil.which("clang"):
        return False
    probe = folder / "probe.c"
    probe.write_text("int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return d && n > 99999; }")
    command = ["clang", "-fsanitize=fuzzer,address,undefined", str(probe), "-o", str(folder / "probe")]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_no_plan_and_no_weights_crash_hang_or_overstep(repository, tmp_path):
    if not can_fuzz(tmp_path):
        pytest.skip("needs clang with libFuzzer (Debian: apt-get install clang)")
    seconds = os.environ.get("BIOTRAIN_FUZZ_SECONDS", "30")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    seeds(corpus)
    limits = [f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=1024", "-max_len=20000", "-seed=1"]
    target = build(repository, tmp_path)
    ran = subprocess.run([target, *limits, corpus], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-5000:]
    assert "NEW" in ran.stderr, "the fuzzer must have found new paths"
