"""Activations kept as bf16 and input windows kept as int16 train as torch does with the same rounding."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from device_agent.compiler.compile import compile_model
from device_agent.compiler.normalise import Norm
from device_agent.compiler.training_options import Activations
from device_agent.compiler.training_options import Windows as Form
from device_agent.engine.engine import Engine, EngineError
from device_agent.models import SIZES, build_model
from schemas.plan import Region
from tests.compiled import device_step, random_windows, randomise_norms, signal
from tests.compiler.test_streaming import BATCH, CHANNELS, CLASSES, NETWORKS, SAMPLES, one_group
from tests.judge import assert_parity, relative_error, torch_step


class Rounded(nn.Module):
    """Rounds the outputs of named modules to bf16; their gradients pass as they are."""

    def __init__(self, module: nn.Module, names: list[str]):
        super().__init__()
        self.module = module = copy.deepcopy(module)
        for name in names:
            module.get_submodule(name).register_forward_hook(self._round)

    @staticmethod
    def _round(module, arguments, y):
        return y + (y.float().bfloat16().to(y.dtype) - y).detach()

    def forward(self, x):
        return self.module(x)


def exact_counts(inputs: np.ndarray) -> np.ndarray:
    """What int16 with the largest size of each channel as 32,767 makes of windows [N, 1, channels, samples]."""
    scale = np.abs(inputs).max(axis=-1, keepdims=True) / np.float32(32767)
    return np.rint(inputs / scale).astype(np.float32) * scale


def compiled(module, **settings):
    return compile_model(module, signal(CHANNELS, SAMPLES, CLASSES), name="test", batch=BATCH, **settings)


def _first_is_quick(names: list[str]) -> list[object]:
    return [names[0], *(pytest.param(name, marks=pytest.mark.slow) for name in names[1:])]


@pytest.mark.parametrize("budget", [None, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", _first_is_quick([name for name in reversed(NETWORKS) if name != "over time"]))
def test_bf16_activations_train_as_torch_does_with_the_same_rounding(case, budget):
    torch.manual_seed(2)
    module = randomise_norms(NETWORKS[case](one_group))
    windows = random_windows(BATCH, CHANNELS, SAMPLES, CLASSES, seed=3)
    plan = compiled(module, activations=Activations.BF16_ALL, budget=budget and smallest(module))
    narrowed = plan.report["narrowed"]
    assert narrowed
    rounded = Rounded(module, [name for name in narrowed if name])
    exact, single = (torch_step(rounded, windows.inputs, windows.labels, t) for t in (torch.float64, torch.float32))
    with Engine(plan.file, plan.weights_file(module)) as engine:
        ours = device_step(plan, engine, windows)
        assert engine.training_bytes == plan.report["memory"]["total_bytes"]
    # a value that lies between two of bf16 may fall to either side: so it does in torch's own float32
    gradients = [{k.removeprefix("module."): v for k, v in step.gradients.items()} for step in (exact, single)]
    assert_parity(ours.gradients, *gradients, what=f"{case}, gradient")
    plain = torch_step(module, windows.inputs, windows.labels, torch.float64).gradients
    apart = [relative_error(ours.gradients[name], plain[name]) for name in plain]
    assert max(apart) > 1e-4, "without the rounding it is another step"
    assert np.median(apart) < 0.1, "though a near one"


def smallest(module) -> int:
    """A budget at which the planner computes again what it can."""
    from device_agent.compiler.errors import CompileError

    with pytest.raises(CompileError, match="smallest that works") as error:
        compiled(module, activations=Activations.BF16_ALL, budget=1)
    return int(str(error.value).split("smallest that works is ")[1].split(" ")[0].replace(",", ""))


@pytest.mark.parametrize("norm", [Norm.GROUP, Norm.BATCH])
@pytest.mark.parametrize("case", _first_is_quick(list(NETWORKS)))
def test_int16_windows_train_as_torch_does_on_the_quantised_input(case, norm):
    torch.manual_seed(2)
    of_batch = nn.BatchNorm1d if case == "over time" else nn.BatchNorm2d
    module = randomise_norms(NETWORKS[case](one_group if norm is Norm.GROUP else of_batch))
    windows = random_windows(BATCH, CHANNELS, SAMPLES, CLASSES, seed=4)
    plan = compiled(module, windows=Form.INT16, norm=norm)
    inputs = exact_counts(windows.inputs)
    exact, single = (torch_step(module, inputs, windows.labels, t) for t in (torch.float64, torch.float32))
    with Engine(plan.file, plan.weights_file(module)) as engine:
        engine.begin_fit()
        if norm is Norm.BATCH:
            engine.fit_batch(windows.counts, windows.scale, list(windows.labels))
        else:
            for counts, label in zip(windows.counts, windows.labels, strict=True):
                engine.fit_sample(counts, windows.scale, int(label))
        trained = engine.region(Region.GRADIENTS) / np.float32(BATCH)
        values = np.pad(trained, (0, engine.plan.header.region_bytes[Region.WEIGHTS] // 4 - len(trained)))
        ours = plan.load_values(values.astype("<f4").tobytes())
        engine.fit_step(0.05)
        assert engine.training_bytes == plan.report["memory"]["total_bytes"]
    assert_parity(ours, exact.gradients, single.gradients, what=f"{case}, {norm}, gradient")


def test_inference_sees_the_quantised_window_as_training_does():
    torch.manual_seed(2)
    module = randomise_norms(NETWORKS["two dense blocks"](one_group)).eval()
    windows = random_windows(1, CHANNELS, SAMPLES, CLASSES, seed=5)
    plan = compiled(module, windows=Form.INT16)
    with Engine(plan.file, plan.weights_file(module)) as engine, torch.no_grad():
        _, probabilities = engine.infer(windows.counts[0], windows.scale)
        expected = module.double()(torch.tensor(exact_counts(windows.inputs)).double()).softmax(1)[0]
    np.testing.assert_allclose(probabilities, expected.numpy(), atol=2e-6)


def zoo(name: str, **settings):
    size = SIZES[name]
    module = build_model(name)
    return compile_model(module, signal(size.channels, size.samples, size.classes), name=name, **settings).report


@pytest.mark.slow
def test_narrow_storage_frees_memory_of_the_papers_networks():
    plainly = zoo("mi-bminet")["memory"]["total_bytes"]
    halved = zoo("mi-bminet", activations=Activations.BF16)
    assert halved["narrowed"]
    assert halved["memory"]["total_bytes"] < 0.9 * plainly
    together = [zoo("mi-bminet", norm=Norm.BATCH, windows=form)["memory"]["total_bytes"] for form in Form]
    assert together[1] < 0.85 * together[0]


@pytest.mark.slow
def test_bf16_is_not_used_where_it_frees_nothing():
    report = zoo("epidenet", activations=Activations.BF16)
    assert report["narrowed"] == ()
    assert report["memory"] == zoo("epidenet")["memory"]


def test_an_activation_beyond_bf16_ends_the_fit_with_its_layer_and_the_largest_number_that_works():
    torch.manual_seed(2)
    module = NETWORKS["more outputs than inputs, padded pools"](one_group)
    with torch.no_grad():
        module[0].weight.zero_()
        module[0].bias.fill_(3.395e38)  # finite in float32, beyond the largest bf16
    windows = random_windows(BATCH, CHANNELS, SAMPLES, CLASSES)
    plan = compiled(module, activations=Activations.BF16_ALL, techniques=frozenset())
    assert "0" in plan.report["narrowed"]
    with Engine(plan.file, plan.weights_file(module)) as engine:
        engine.begin_fit()
        with pytest.raises(EngineError, match=r"in layer 0.*3\.3895e\+38"):
            engine.fit_sample(windows.counts[0], windows.scale, 0)


def test_a_plan_whose_narrow_operand_is_seen_as_float32_is_refused():
    from schemas.plan import ValueType, View, plan_sections
    from schemas.plan_operations import OPERATIONS
    from tests.runtime.handmade import Code, tiny_plan

    half = View(Region.ARENA, 256, (8,), type=ValueType.BF16)
    plain = View(Region.ARENA, 0, (8,))
    assert plan_sections(tiny_plan(Code().run("widen_bf16", 11, 12), (half, plain)))
    assert OPERATIONS["widen_bf16"].operands == ("x", "y")
    Engine(tiny_plan(Code().run("widen_bf16", 11, 12), (half, plain))).close()
    for views in ((replace(half, type=ValueType.F32), plain), (half, replace(plain, type=ValueType.BF16))):
        with pytest.raises(EngineError, match="BT_BAD_PLAN"):
            Engine(tiny_plan(Code().run("widen_bf16", 11, 12), views))
    with pytest.raises(EngineError, match="BT_BAD_PLAN"):
        Engine(tiny_plan(Code().run("widen_bf16", 11, 12), (replace(half, offset=257), plain)))
