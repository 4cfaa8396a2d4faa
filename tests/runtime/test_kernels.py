"""All sets of kernels give the same bits; a number that is not finite is never passed on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from device_agent.compiler.normalise import Norm
from device_agent.engine.engine import CANDIDATE, KERNEL_SETS, Engine, EngineError
from device_agent.models import SIZES, build_model
from schemas.plan import Region
from tests.compiled import compiled, random_windows, randomise_norms


@pytest.mark.parametrize("name", ["epidenet", "epidenet-short"])
def test_all_sets_of_kernels_give_the_same_bits_after_twenty_steps(name):
    torch.manual_seed(0)
    size = SIZES[name]
    module = randomise_norms(build_model(name))
    windows = random_windows(8, size.channels, size.samples, size.classes)
    plan = compiled(module, windows, size.classes, Norm.GROUP)
    results = []
    for kernels in KERNEL_SETS:
        with Engine(plan.file, plan.weights_file(module)) as engine:
            if not engine.use_kernels(kernels):
                continue
            engine.begin_fit()
            for step in range(20):
                for i in range(8):
                    engine.fit_sample(windows.counts[i], windows.scale, int(windows.labels[i]))
                engine.fit_step(0.01 / (step + 1), 0.9, 1e-3)
            results.append(engine.values(CANDIDATE))
    assert len(results) >= 2
    assert set(results) == {results[0]}


def test_training_never_touches_the_serving_weights_and_inference_never_the_candidate():
    size = SIZES["epidenet-short"]
    module = build_model("epidenet-short")
    windows = random_windows(4, size.channels, size.samples, size.classes)
    plan = compiled(module, windows, size.classes)
    with Engine(plan.file, plan.weights_file(module)) as engine:
        served = engine.values()
        before = engine.infer(windows.counts[0], windows.scale)[1]
        engine.begin_fit()
        engine.fit_sample(windows.counts[1], windows.scale, 1)
        gradients = engine.region(Region.GRADIENTS).copy()
        np.testing.assert_array_equal(engine.infer(windows.counts[0], windows.scale)[1], before)
        np.testing.assert_array_equal(engine.region(Region.GRADIENTS), gradients)
        engine.fit_step(0.1)
        assert engine.values() == served
        candidate = engine.values(CANDIDATE)
        assert candidate != served
        engine.infer(windows.counts[0], windows.scale)
        assert engine.values(CANDIDATE) == candidate
        engine.promote()
        assert engine.values() == candidate


def test_a_loss_that_is_not_finite_stops_the_fit_with_a_name():
    size = SIZES["epidenet-short"]
    module = build_model("epidenet-short")
    windows = random_windows(1, size.channels, size.samples, size.classes)
    plan = compiled(module, windows, size.classes)
    with Engine(plan.file, plan.weights_file(module)) as engine:
        values = np.frombuffer(engine.values(), np.float32).copy()
        values[5] = np.nan
        engine.set_values(values.tobytes())
        engine.begin_fit()
        with pytest.raises(EngineError, match="BT_NOT_FINITE"):
            engine.fit_sample(windows.counts[0], windows.scale, 0)
        with pytest.raises(EngineError, match="BT_NOT_FINITE"):
            engine.infer(windows.counts[0], windows.scale)


@pytest.mark.parametrize("parameter", ["block_1.0.weight", "block_3.1.bias", "classify.weight"])
def test_a_fit_that_goes_wrong_says_at_which_step_and_layer(parameter):
    size = SIZES["epidenet-short"]
    module = build_model("epidenet-short")
    windows = random_windows(1, size.channels, size.samples, size.classes)
    plan = compiled(module, windows, size.classes)
    with Engine(plan.file, plan.weights_file(module)) as engine:
        served = engine.values()
        engine.begin_fit()
        for _ in range(2):
            engine.fit_sample(windows.counts[0], windows.scale, 0)
            engine.fit_step(0.01)
        values = np.frombuffer(engine.values(CANDIDATE), np.float32).copy()
        place = next(p for p in engine.plan.names["parameters"] if p["name"] == parameter)
        values[place["offset"] // 4] = np.inf
        engine.set_values(values.tobytes(), CANDIDATE)
        with pytest.raises(EngineError, match=rf"step 3, in layer {parameter.rpartition('.')[0]}: BT_NOT_FINITE"):
            engine.fit_sample(windows.counts[0], windows.scale, 0)
        assert engine.values() == served
        engine.begin_fit()
        with pytest.raises(EngineError, match="in the window itself: BT_NOT_FINITE"):
            engine.fit_sample(windows.counts[0], np.full(4, np.nan, np.float32), 0)


def test_a_label_that_is_no_class_is_refused():
    module = build_model("epidenet-short")
    windows = random_windows(1, 4, 200, 6)
    with Engine(compiled(module, windows, 6).file) as engine:
        engine.begin_fit()
        with pytest.raises(EngineError, match="BT_BAD_ARGUMENT"):
            engine.fit_sample(windows.counts[0], windows.scale, 6)
