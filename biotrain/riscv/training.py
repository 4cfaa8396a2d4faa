"""Training on the RISC-V image without a link: the weights that come out, and the instructions that it took."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from biotrain.riscv.image import TRAINING_IMAGE, image
from biotrain.riscv.machine import machine_words
from device_agent.wearable.recording_file import pack_recording
from schemas.errors import UserError
from schemas.plan import Region, read_plan
from schemas.plan_operations import OPERATIONS

_SETTINGS = struct.Struct("<IIIIfffIffff")
_RUN, _STEP = struct.Struct("<fQQQQ"), struct.Struct("<QQQQ")


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """`batch` windows a step, in order, from the first again when all were used. A rate of 0 is left out as in C."""

    steps: int
    batch: int = 8
    cosine: bool = False
    dropout_seed: int = 0
    learning_rate: float = 5e-3
    momentum: float = 0.9
    weight_decay: float = 1e-3
    nesterov: bool = False
    beta_1: float = 0.0
    beta_2: float = 0.0
    epsilon: float = 0.0
    clip_norm: float = 0.0

    def pack(self) -> bytes:
        return _SETTINGS.pack(
            self.batch, self.steps, self.cosine, self.dropout_seed, self.learning_rate, self.momentum,
            self.weight_decay, self.nesterov, self.beta_1, self.beta_2, self.epsilon, self.clip_norm,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ClusterCount:
    """Of one run of a program, on one core; what of it a cluster would share, had it been asked for."""

    instructions: int
    inside: int
    """Of these, in pieces that cores share."""
    longest: int
    """Of the core with most to do, added up over all rounds."""
    rounds: int
    """How often the cores meet."""

    @property
    def path(self) -> int:
        """Instructions one after the other, when a cluster shares the pieces."""
        return self.instructions - self.inside + self.longest


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run has left. Instructions are exact on one core; on several they are not counted, and are empty."""

    values: bytes
    """The weights, as a weights file holds them."""
    losses: tuple[float, ...]
    """One for each run of the plan's training program: for each window, or each batch under exact batch norm."""
    run_instructions: tuple[int, ...]
    """Of each of those runs: preprocessing, forward and backward pass."""
    step_instructions: tuple[int, ...]
    """Each optimiser step."""
    run_counts: tuple[ClusterCount, ...] = ()
    step_counts: tuple[ClusterCount, ...] = ()
    of_operation: dict[str, int] = field(default_factory=dict)
    """Instructions of the whole run by operation, where they were asked for."""

    def instructions_per_sample(self, batch: int) -> float:
        """A training window and its share of the optimiser step, in the middle of all steps."""
        if not self.step_instructions:
            raise ValueError("instructions are counted on one core only")
        runs = len(self.run_instructions) // len(self.step_instructions)
        return float(np.median(self.run_instructions) * runs + np.median(self.step_instructions)) / batch


def train(
    plan: bytes,
    weights: bytes,
    counts: npt.NDArray[np.int16],
    scale: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    run: TrainingRun,
    *,
    cores: int = 1,
    cluster: int = 0,
    each: bool = False,
    timeout_s: float = 600.0,
) -> Trained:
    """`counts` [windows, channels, samples]. `cluster`: one core runs, and counts what so many would share; `each`:
    it counts what each operation takes.

    Raises UserError with the image's own words when it refuses.
    """
    header = read_plan(plan).header
    counting = cores == 1
    files = {
        "plan": plan,
        "weights": weights,
        "training": run.pack(),
        "recording": pack_recording(counts, scale, labels, header.sampling_rate_hz),
    }
    arguments = ({"cluster": cluster} if cluster else {}) | ({"each": 1} if each else {})
    words = machine_words(image(TRAINING_IMAGE), cores=cores, counting=counting, arguments=arguments)
    with tempfile.TemporaryDirectory(prefix="biotrain-riscv-") as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        try:
            done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired:
            raise UserError(
                f"the RISC-V image did not end within {timeout_s:g} s: give it fewer steps, or more time"
            ) from None
        if done.returncode:
            raise UserError(f"training on the RISC-V image failed: {' '.join(done.stderr.split())}")
        result = (Path(folder) / "result").read_bytes()
    return _read(result, run.steps, run.batch // header.batch, header.region_bytes[Region.WEIGHTS], counting)


def _read(result: bytes, steps: int, runs: int, value_bytes: int, counting: bool) -> Trained:
    losses, counts, step_counts = [], [], []
    at = 0
    for _ in range(steps):
        for _ in range(runs):
            loss, *count = _RUN.unpack_from(result, at)
            losses.append(loss)
            counts.append(ClusterCount(*count))
            at += _RUN.size
        step_counts.append(ClusterCount(*_STEP.unpack_from(result, at)))
        at += _STEP.size
    values, at = result[at : at + value_bytes], at + value_bytes
    if not counting:
        return Trained(values, tuple(losses), (), ())
    run_instructions, step_instructions = (tuple(c.instructions for c in each) for each in (counts, step_counts))
    spent = np.frombuffer(result[at:], np.uint64)
    named = {name: int(spent[spec.number]) for name, spec in OPERATIONS.items() if len(spent) and spent[spec.number]}
    return Trained(
        values, tuple(losses), run_instructions, step_instructions, tuple(counts), tuple(step_counts), named
    )  # fmt: skip
