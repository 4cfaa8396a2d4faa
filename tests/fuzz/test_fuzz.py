"""The device's readers under libFuzzer with address and undefined-behaviour sanitizers.

For longer: BIOTRAIN_FUZZ_SECONDS=600 pytest tests/fuzz -m slow
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
import torch
from torch import nn

from device_agent.compiler.compile import compile_model
from device_agent.compiler.normalise import Norm
from device_agent.preprocessing.steps import Preprocessing
from schemas.link.opcodes import Opcode
from tests.compiled import signal
from tests.runtime.handmade import tiny_plan
from tests.runtime.test_loops import VIEWS, tiles_through_l1_and_l3
from tests.runtime.test_preprocessing import everything
from tests.signing import Site


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
    site = Site()
    files = {
        "tiny": tiny_plan(),
        "loops": tiny_plan(tiles_through_l1_and_l3(), VIEWS),
        "small": plan.file,
        "plain": plain.file,
        "batch": batch.file,
        "weights": plan.weights_file(small),
        "keys": site.sets[0].pack(),
        "signature": site.plan(tiny_plan())[-128:] + site.sets[0].keys[0] + bytes(32),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)


def build(repository: Path, into: Path) -> Path:
    runtime = repository / "device_agent/firmware/runtime"
    sources = [repository / "tests/fuzz/readers.c", *sorted(runtime.glob("*.c")), *sorted(runtime.glob("kernels/*.c"))]
    sources += sorted((runtime.parent / "trust").glob("*.c"))
    options = ["-std=c11", "-O1", "-g", "-ffp-contract=off", "-DBT_KERNEL_SET=base", "-DBT_MAX_WORK=3000000u"]
    options += ["-DBT_ONLY_BASE_KERNELS", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
    includes = [f"-I{runtime}", f"-I{runtime.parent / 'include'}"]
    target = into / "readers"
    subprocess.run(["clang", *options, *includes, *map(str, sources), "-lm", "-o", str(target)], check=True)
    return target


SANITIZERS = "address,undefined"
#: A fuzzer with more than this has a leak. The sanitizer's quarantine, which holds freed memory back to see who still
#: uses it, is bounded well below: its default of 256 MB, with the shadow of every page it has passed, comes to more.
RSS_LIMIT_MB, QUARANTINE_MB = 1024, 32
ENVIRONMENT = {"ASAN_OPTIONS": f"quarantine_size_mb={QUARANTINE_MB}:detect_leaks=1"}


def build_link(repository: Path, into: Path, *, counted: bool) -> Path:
    """The wearable's C behind its link: under libFuzzer, or `counted`, as a program that sends noise."""
    firmware = repository / "device_agent/firmware"
    parts = ("runtime/*.c", "runtime/kernels/*.c", "protocol/*.c", "app/*.c", "trust/*.c", "port/*.c", "port/host/*.c")
    sources = [
        path for part in parts for path in sorted(firmware.glob(part)) if path.name not in ("main.c", "engine_handle.c")
    ]
    options = ["-std=c11", "-O1", "-g", "-ffp-contract=off", "-DBT_KERNEL_SET=base", "-DBT_MAX_WORK=3000000u"]
    options += ["-DBT_ONLY_BASE_KERNELS", "-fno-sanitize-recover=all"]
    options += ["-DCOUNTED", f"-fsanitize={SANITIZERS}"] if counted else [f"-fsanitize=fuzzer,{SANITIZERS}"]
    includes = [f"-I{firmware / 'runtime'}", f"-I{firmware / 'include'}"]
    target = into / ("noise" if counted else "link")
    words = [*options, *includes, str(repository / "tests/fuzz/link.c"), *map(str, sources), "-lm", "-o", str(target)]
    subprocess.run([shutil.which("clang") or "cc", *words], check=True)
    return target


def can_fuzz(folder: Path) -> bool:
    """clang is there, and with it the library that -fsanitize=fuzzer links."""
    if not shutil.which("clang"):
        return False
    probe = folder / "probe.c"
    probe.write_text("int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return d && n > 99999; }")
    command = ["clang", "-fsanitize=fuzzer,address,undefined", str(probe), "-o", str(folder / "probe")]
    return subprocess.run(command, capture_output=True).returncode == 0


def fuzz(folder: Path, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Through a shell that forks: libFuzzer limits the peak that the kernel counts, and what is executed in the place
    of a fork of ours begins with our own peak, torch and all."""
    ran = subprocess.run(
        ["sh", "-c", '"$@"; exit $?', "sh", *command],
        cwd=folder, env={**os.environ, **ENVIRONMENT, **environment}, capture_output=True, text=True,
    )  # fmt: skip
    print(*(line for line in ran.stderr.splitlines() if line.startswith("Done ")))
    return ran


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_no_plan_and_no_weights_crash_hang_or_overstep(repository, tmp_path):
    if not can_fuzz(tmp_path):
        pytest.skip("needs clang with libFuzzer (Debian: apt-get install clang)")
    seconds = os.environ.get("BIOTRAIN_FUZZ_SECONDS", "30")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    seeds(corpus)
    limits = [f"-max_total_time={seconds}", "-timeout=20", f"-rss_limit_mb={RSS_LIMIT_MB}", "-max_len=20000", "-seed=1"]
    target = build(repository, tmp_path)
    ran = fuzz(tmp_path, target, *limits, corpus)
    assert ran.returncode == 0, ran.stderr[-5000:]
    assert "NEW" in ran.stderr, "the fuzzer must have found new paths"


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_ten_million_bytes_of_noise_execute_nothing(repository, tmp_path):
    """Random bytes, long runs of one byte, and frames of commands with bytes altered."""
    noise = build_link(repository, tmp_path, counted=True)
    ran = subprocess.run([noise, "10000000"], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr[-5000:]
    told, answers = ran.stdout.splitlines()
    assert int(told.split()[0]) >= 10_000_000
    assert told.endswith("storage as before")
    assert answers == "answers yes"


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_no_frame_crashes_or_hangs_the_wearable(repository, tmp_path):
    """Whole frames with any content, to a wearable with plan and weights."""
    if not can_fuzz(tmp_path):
        pytest.skip("needs clang with libFuzzer (Debian: apt-get install clang)")
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    plan = compile_model(module, signal(2, 8, 2), name="plain")
    (tmp_path / "plan").write_bytes(plan.file)
    (tmp_path / "weights").write_bytes(plan.weights_file(module))
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    window = struct.pack("<BIiQ2f", 1, 5, 1, 0, 1.0, 1.0) + bytes(32)
    fit = struct.pack("<BIIIIQfffII", 4, 1, 2, 1, 1, 0, 0.01, 0.9, 0.0, 1, 5)
    more = struct.pack("<IIIffff", 1, 1, 0, 0.9, 0.99, 1e-8, 1.0)
    evaluation = struct.pack("<BIII", 5, 0, 1, 5)
    bodies = [window, fit, fit + more, evaluation]
    life = b"".join(bytes([1, Opcode.END, len(body)]) + body for body in bodies)
    for number, opcode in enumerate(Opcode):
        asked = bytes([1, opcode, 10]) + bytes([3, 0, 0, 0, 0, 0, 0, 8, 0, 0])
        (corpus / f"{number}").write_bytes(bytes([0]) + life + asked)
    limits = [
        f"-max_total_time={os.environ.get('BIOTRAIN_FUZZ_SECONDS', '10')}",
        "-timeout=20",
        f"-rss_limit_mb={RSS_LIMIT_MB}",
    ]
    target = build_link(repository, tmp_path, counted=False)
    ran = fuzz(tmp_path, target, *limits, "-max_len=2000", "-seed=1", corpus, BIOTRAIN_FUZZ_FILES=str(tmp_path))
    assert ran.returncode == 0, ran.stderr[-5000:]
    assert "NEW" in ran.stderr, "the fuzzer must have found new paths"
