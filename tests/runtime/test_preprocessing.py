"""Preprocessing on the device is what it was in pre-training, and what SciPy says it is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, sosfilt
from torch import nn

from device_agent.compiler.compile import compile_model
from device_agent.compiler.errors import CompileError
from device_agent.engine.engine import Engine
from device_agent.preprocessing.steps import Preprocessing
from schemas.plan import Region
from tests.compiled import SCALE, Windows, random_windows, signal


def on_the_device(steps: Preprocessing, windows, model_channels: int) -> np.ndarray:
    samples = windows.counts.shape[2]
    # the linear layer's input is kept as the window's features, so it can be read after the run
    module = nn.Sequential(nn.Flatten(), nn.Linear(model_channels * samples, 2))
    plan = compile_model(
        module,
        signal(windows.counts.shape[1], samples, 2),
        name="test",
        preprocessing=steps,
        model_channels=model_channels,
    )
    with Engine(plan.file) as engine:
        engine.infer(windows.counts[0], windows.scale)
        return engine.region(Region.ARENA)[: model_channels * samples].reshape(model_channels, samples).copy()


def everything() -> Preprocessing:
    sos = butter(2, [1, 30], btype="band", fs=100, output="sos")
    return Preprocessing(
        matrix=np.array([[0, 1, 0], [1, 0, -1]], np.float32),
        sections=np.delete(sos, 3, axis=1).astype(np.float32),
        centre=True,
        offset=np.array([0.1, -0.2], np.float32),
        gain=np.array([2, 3], np.float32),
    )


def test_all_steps_together_are_the_ones_of_pre_training_and_of_scipy():
    windows, steps = random_windows(1, 3, 200, 2), everything()
    raw = windows.counts[0].astype(np.float64) * np.float32(SCALE)
    sections = steps.sections.astype(np.float64)
    expected = sosfilt(np.insert(sections, 3, 1.0, axis=1), steps.matrix.astype(np.float64) @ raw)
    expected -= expected.mean(axis=1, keepdims=True)
    expected = (expected - np.array([[0.1], [-0.2]])) * np.array([[2], [3]])
    device = on_the_device(steps, windows, 2)
    np.testing.assert_allclose(device, expected, atol=2e-5)
    np.testing.assert_allclose(steps.apply(raw.astype(np.float32)), expected, atol=2e-5)


def test_without_steps_the_input_is_counts_times_scale():
    windows = random_windows(1, 3, 50, 2)
    np.testing.assert_array_equal(on_the_device(Preprocessing(), windows, 3), windows.counts[0] * np.float32(SCALE))


def test_a_matrix_of_the_wrong_shape_is_refused_with_the_shape_that_was_expected():
    with pytest.raises(CompileError, match=r"matrix: expected \(2, 3\)"):
        on_the_device(Preprocessing(matrix=np.eye(3, dtype=np.float32)), random_windows(1, 3, 50, 2), 2)


def test_an_envelope_is_taken_as_logarithm_above_its_floor():
    windows = random_windows(1, 3, 50, 2)
    positive = Windows(np.abs(windows.counts), windows.labels)
    steps = Preprocessing(log_floor=0.25)
    expected = np.log(np.maximum(positive.counts[0] * np.float32(SCALE), 0.25))
    np.testing.assert_allclose(on_the_device(steps, positive, 3), expected, atol=1e-6)
    np.testing.assert_allclose(steps.apply(positive.inputs[0, 0]), expected, atol=1e-6)
