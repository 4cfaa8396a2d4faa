"""Adapted models outside the device: ONNX's own evaluator and ONNX Runtime agree with the device's engine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from device_agent.compiler.compile import Signal, compile_model
from device_agent.compiler.export_model import rebuild, to_onnx, to_pt
from device_agent.compiler.normalise import Norm
from device_agent.engine.engine import Engine
from device_agent.models import ModelSize, build_model
from device_agent.models.norms import with_group_norm
from device_agent.preprocessing.in_plan import read_preprocessing
from device_agent.preprocessing.steps import Preprocessing
from schemas.errors import UserError
from schemas.weights import read_weights

pytest.importorskip("onnx")
CHANNELS, SAMPLES, CLASSES, RATE = 6, 200, 4, 100.0
AVERAGE = np.eye(4, 6, dtype=np.float32) - np.float32(1 / 6)
#: Butterworth high-pass of order 2 at 2 Hz for 100 Hz, and a notch: as scipy designs them.
SECTIONS = np.array(
    [[0.91497, -1.82995, 0.91497, -1.82269, 0.83718], [0.9390625, -1.8, 0.9390625, -1.8, 0.878125]], np.float32
)


def compiled(norm: Norm, steps: Preprocessing, channels: int) -> tuple[bytes, bytes]:
    torch.manual_seed(3)
    model_channels = channels if steps.matrix is None else len(steps.matrix)
    module = build_model("epidenet-short", ModelSize(model_channels, SAMPLES, CLASSES, RATE))
    if norm is Norm.GROUP:
        module = with_group_norm(module)
    for parameter in module.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    signal = Signal(tuple(f"E{i}" for i in range(channels)), SAMPLES, RATE, tuple("abcd"))
    plan = compile_model(
        module, signal, name="epidenet-short", norm=norm, preprocessing=steps, model_channels=model_channels
    )
    return plan.file, plan.weights_file(module)


def windows(channels: int, positive: bool) -> tuple[np.ndarray, np.ndarray]:
    """Counts [n, channels, samples] and scale [channels]."""
    rng = np.random.default_rng(5)
    counts = rng.integers(20 if positive else -20_000, 20_000, (5, channels, SAMPLES)).astype(np.int16)
    return counts, np.linspace(0.01, 0.03, channels).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


CASES = {
    "filtered": (
        Norm.GROUP,
        Preprocessing(AVERAGE, SECTIONS, None, False, np.full(4, 3, np.float32), np.full(4, 0.01, np.float32)),
        6,
    ),
    "envelope": (Norm.FROZEN, Preprocessing(log_floor=0.5, centre=True), 4),
    "plain": (Norm.GROUP, Preprocessing(), 4),
}


@pytest.mark.parametrize("name", CASES)
def test_probabilities_of_onnx_and_torch_are_those_of_the_device(name: str) -> None:
    import onnx
    from onnx.reference import ReferenceEvaluator

    norm, steps, channels = CASES[name]
    plan, weights = compiled(norm, steps, channels)
    counts, scale = windows(channels, steps.log_floor is not None)
    values = counts.astype(np.float32) * scale[:, None]
    with Engine(plan, weights) as engine:
        expected = np.stack([engine.infer(one, scale)[1] for one in counts])
    exported, read, mine = rebuild(plan, weights)
    with torch.no_grad():
        np.testing.assert_allclose(softmax(exported(torch.tensor(values)).numpy()), expected, rtol=0, atol=2e-5)
    file = to_onnx(exported, read, mine)
    (logits,) = ReferenceEvaluator(onnx.load_from_string(file)).run(None, {"window": values})
    np.testing.assert_allclose(softmax(logits), expected, rtol=0, atol=2e-5)
    properties = {p.key: p.value for p in onnx.load_from_string(file).metadata_props}
    assert json.loads(properties["classes"]) == list("abcd")
    assert properties["plan_hash"] == read.hash
    runtime = pytest.importorskip("onnxruntime", reason="the reference evaluator has agreed; ONNX Runtime is not here")
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(softmax(session.run(None, {"window": values})[0]), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", CASES)
def test_preprocessing_is_read_back_from_the_plan_as_it_was_put_in(name: str) -> None:
    norm, steps, channels = CASES[name]
    read = read_preprocessing(compiled(norm, steps, channels)[0])
    for field in ("matrix", "sections", "offset", "gain"):
        put, got = getattr(steps, field), getattr(read, field)
        assert (put is None) == (got is None)
        if put is not None:
            np.testing.assert_array_equal(got, put)
    assert (read.log_floor, read.centre) == (steps.log_floor, steps.centre)


def test_a_pt_file_is_plain_tensors_and_loads_into_the_zoos_module(tmp_path: Path) -> None:
    norm, steps, channels = CASES["filtered"]
    plan, weights = compiled(norm, steps, channels)
    (tmp_path / "a.pt").write_bytes(to_pt(*rebuild(plan, weights)))
    loaded = torch.load(tmp_path / "a.pt", weights_only=True)
    module = with_group_norm(build_model("epidenet-short", ModelSize(4, SAMPLES, CLASSES, RATE)))
    module.load_state_dict(loaded["state_dict"])
    first = next(iter(module.parameters())).detach().numpy().tobytes()
    assert read_weights(weights).values.startswith(first)
    assert loaded["weights_version"] == 1


def test_weights_of_another_plan_and_a_module_that_is_not_the_plans_are_refused() -> None:
    plan, weights = compiled(*CASES["plain"])
    with pytest.raises(UserError, match="these weights belong to plan"):
        rebuild(plan, compiled(*CASES["envelope"])[1])
    with pytest.raises(UserError, match="the module has no"):
        rebuild(plan, weights, torch.nn.Linear(2, 2))


@pytest.mark.slow
def test_the_command_exports_the_demos_model(tmp_path: Path, repository: Path) -> None:
    assets = repository / "biotrain" / "demo" / "assets"
    words = ["model", assets / "eog.plan", assets / "eog.weights"]
    done = subprocess.run(
        [sys.executable, "-m", "biotrain", *map(str, words), str(tmp_path / "eog.onnx"), "--json"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["model"], len(said["classes"]), said["origin"]) == ("epidenet", 11, "pretrained")
    assert (tmp_path / "eog.onnx").stat().st_size > 16_000
