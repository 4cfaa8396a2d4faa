"""Every way to stream a chain trains as torch does, and most of them to the same bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from device_agent.compiler import memory_plan
from device_agent.compiler.compile import compile_model
from device_agent.compiler.errors import CompileError
from device_agent.compiler.normalise import Norm
from device_agent.compiler.stream.chains import find_chains
from device_agent.compiler.stream.choice import ALL
from device_agent.compiler.training_options import Mode
from device_agent.engine.engine import CANDIDATE, Engine
from device_agent.models import SIZES, build_model
from tests.compiled import device_step, random_windows, randomise_norms, signal
from tests.compiler.test_batch_norm import assert_step_is_torchs
from tests.judge import assert_parity, torch_step

CHANNELS, SAMPLES, CLASSES, BATCH = 3, 41, 3, 2


def classified(*layers: nn.Module) -> nn.Sequential:
    body = nn.Sequential(*layers)
    with torch.no_grad():
        features = body(torch.zeros(2, 1, CHANNELS, SAMPLES)).flatten(1).shape[1]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, CLASSES))


class OverTime(nn.Module):
    """One-dimensional layers: views stand between the operations of a chain."""

    def __init__(self, norm):
        super().__init__()
        self.first = nn.Conv1d(CHANNELS, 4, 5, padding=2, bias=False)
        self.norm, self.own = norm(4), norm(4)
        self.depthwise = nn.Conv1d(4, 4, 3, groups=4)
        self.classify = nn.Linear(4 * 13, CLASSES)

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x.squeeze(1))))
        x = nn.functional.avg_pool1d(torch.relu(self.own(self.depthwise(x))), 3)
        return self.classify(x.flatten(1))


def one_group(channels):
    return nn.GroupNorm(1, channels)


NETWORKS = {
    "spatial, depthwise, pooled, pointwise": lambda norm: classified(
        nn.Conv2d(1, 8, (3, 1), bias=False),
        norm(8),
        nn.ZeroPad2d((3, 4, 0, 0)),
        nn.Conv2d(8, 8, (1, 8), groups=8, bias=False),
        norm(8),
        nn.ReLU(),
        nn.AvgPool2d((1, 4)),
        nn.Conv2d(8, 8, (1, 3), groups=8, bias=False),
        nn.Conv2d(8, 4, 1, bias=False),
        norm(4),
        nn.ReLU(),
        nn.AvgPool2d((1, 2)),
    ),
    "two dense blocks": lambda norm: classified(
        nn.Conv2d(1, 4, (1, 4), bias=False),
        norm(4),
        nn.ReLU(),
        nn.AvgPool2d((1, 3)),
        nn.Conv2d(4, 6, (2, 3)),
        norm(6),
        nn.ELU(),
        nn.MaxPool2d((1, 2)),
    ),
    "more outputs than inputs, padded pools": lambda norm: classified(
        nn.Conv2d(1, 4, (1, 6), padding=(0, 3)),
        norm(4),
        nn.Conv2d(4, 8, (3, 1), groups=4, bias=False),
        norm(8),
        nn.GELU(),
        nn.AvgPool2d((1, 5), stride=3, padding=(0, 2)),
    ),
    "strides, dilation and three norms": lambda norm: classified(
        nn.Conv2d(1, 6, (2, 3), stride=(1, 2), padding=(1, 2), dilation=(1, 2), bias=False),
        norm(6),
        nn.Conv2d(6, 6, (1, 3), groups=6),
        norm(6),
        nn.Conv2d(6, 6, (2, 3), groups=6, stride=(1, 2)),
        norm(6),
        nn.ReLU(),
        nn.AvgPool2d((2, 3), stride=(1, 2)),
    ),
    "over time": OverTime,
}


class Fixed:
    """In the place of the search: the same number of option for every chain."""

    number = 0
    most = 0

    def __init__(self, attempt, options, *rest):
        self.attempt, self.options = attempt, options
        Fixed.most = max(map(len, options))

    def without_limit(self, start):
        return self.attempt(tuple(options[Fixed.number % len(options)] for options in self.options))


@pytest.fixture
def every_choice(monkeypatch):
    """Numbers of options, set before each is yielded."""
    monkeypatch.setattr(memory_plan, "Search", Fixed)

    def numbers(most: int):
        """At most so many, evenly spread."""
        Fixed.number, Fixed.most = 0, 1
        while Fixed.number < Fixed.most:
            yield Fixed.number
            Fixed.number += max(1, Fixed.most // most)

    return numbers


FEW_AND_MANY = pytest.mark.parametrize("most", [3, pytest.param(16, marks=pytest.mark.slow)])


@FEW_AND_MANY
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("case", NETWORKS)
def test_every_choice_trains_as_torch_does_and_to_the_same_bits(case, groups, most, every_choice):
    torch.manual_seed(1)
    module = randomise_norms(NETWORKS[case](lambda channels: nn.GroupNorm(groups, channels)))
    windows = random_windows(BATCH, CHANNELS, SAMPLES, CLASSES)
    exact, single = (torch_step(module, windows.inputs, windows.labels, t) for t in (torch.float64, torch.float32))
    bits: dict[object, set[bytes]] = {}
    for _ in every_choice(most):
        texts: dict[str, str] = {}
        plan = compile_model(
            module, signal(CHANNELS, SAMPLES, CLASSES), name="test", norm=Norm.GROUP, watch=texts.__setitem__
        )
        with Engine(plan.file, plan.weights_file(module)) as engine:
            ours = device_step(plan, engine, windows)
            values = engine.values(CANDIDATE)
            assert engine.training_bytes == plan.report["memory"]["total_bytes"]
        assert_parity(ours.gradients, exact.gradients, single.gradients, "gradient")
        assert_parity(ours.weights, exact.weights, single.weights, "weight")
        other_sums = ("normed_weight_gradient", "pooled_norm_sums", "add(")
        bits.setdefault(tuple(word in texts["differentiate"] for word in other_sums), set()).add(values)
    assert Fixed.most > 2
    assert {key: len(found) for key, found in bits.items() if not key[-1]} == dict.fromkeys(
        (key for key in bits if not key[-1]), 1
    ), "keeping less must not change a bit"


@FEW_AND_MANY
@pytest.mark.parametrize("case", NETWORKS)
def test_every_choice_trains_with_exact_batch_norm(case, most, every_choice):
    for _ in every_choice(most):
        torch.manual_seed(1)
        module = randomise_norms(
            NETWORKS[case](lambda c: nn.BatchNorm1d(c) if case == "over time" else nn.BatchNorm2d(c))
        )
        assert_step_is_torchs(module, random_windows(4, CHANNELS, SAMPLES, CLASSES), CLASSES)


@pytest.mark.parametrize("mode", [Mode.NORM_ONLY, ["0.weight", "4.weight"], ["3.weight"], ["10.bias", "1.*"]])
def test_a_chain_that_is_trained_in_part(mode, every_choice):
    torch.manual_seed(1)
    module = randomise_norms(NETWORKS["two dense blocks"](one_group))
    windows = random_windows(BATCH, CHANNELS, SAMPLES, CLASSES)
    names = {"0.weight", "1.weight", "1.bias", "4.weight", "4.bias", "5.weight", "5.bias"}
    if isinstance(mode, list):
        mode = [name for name in mode if name in names or "*" in name] or ["4.bias"]
    for _ in every_choice(4):
        plan = compile_model(module, signal(CHANNELS, SAMPLES, CLASSES), name="test", mode=mode)
        trained = {p["name"] for p in _names(plan) if p["trained"]}
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name in trained)
        with Engine(plan.file, plan.weights_file(module)) as engine:
            ours = device_step(plan, engine, windows)
        exact, single = (torch_step(module, windows.inputs, windows.labels, t) for t in (torch.float64, torch.float32))
        assert exact.gradients.keys() == trained
        assert_parity(ours.gradients, exact.gradients, single.gradients, "gradient")


def _names(plan):
    from schemas.plan import read_plan

    return read_plan(plan.file).names["parameters"]


def test_the_first_layers_sums_hold_with_offsets_and_a_common_mode():
    """Electrodes that see the same large signal: what the sums cancel, torch's float32 loses as well."""
    torch.manual_seed(1)
    module = randomise_norms(NETWORKS["spatial, depthwise, pooled, pointwise"](one_group))
    windows = random_windows(BATCH, CHANNELS, SAMPLES, CLASSES)
    common = np.random.default_rng(5).integers(-12000, 12000, (BATCH, 1, SAMPLES))
    counts = (windows.counts // 8 + common + np.array([9000, -4000, 700])[None, :, None]).astype(np.int16)
    windows = type(windows)(counts, windows.labels)
    exact, single = (torch_step(module, windows.inputs, windows.labels, t) for t in (torch.float64, torch.float32))
    plan = compile_model(module, signal(CHANNELS, SAMPLES, CLASSES), name="test", watch=(texts := {}).__setitem__)
    assert "normed_weight_gradient" in texts["differentiate"]
    with Engine(plan.file, plan.weights_file(module)) as engine:
        ours = device_step(plan, engine, windows)
    assert_parity(ours.gradients, exact.gradients, single.gradients, "gradient")


@pytest.mark.slow
def test_a_budget_is_kept_at_the_lowest_cost_and_one_that_cannot_be_says_what_can():
    size = SIZES["mi-bminet"]
    windows = signal(size.channels, size.samples, size.classes)

    def within(budget):
        return compile_model(build_model("mi-bminet"), windows, name="mi-bminet", budget=budget).report

    roomy, tight = within(2_000_000), within(300_000)
    assert roomy["macs"]["recompute"] == 0
    assert tight["memory"]["total_bytes"] <= 300_000
    assert tight["macs"]["recompute"] <= 2 * tight["macs"]["forward"]
    with pytest.raises(CompileError, match=r"too small: the smallest that works is [\d,]+ bytes") as told:
        within(100_000)
    least = int(str(told.value).split("works is ")[1].split(" bytes")[0].replace(",", ""))
    assert "input 60,800" in str(told.value)
    assert within(least)["memory"]["total_bytes"] <= least


@pytest.mark.parametrize("left_out", sorted(ALL))
def test_each_technique_has_a_switch(left_out):
    module = NETWORKS["spatial, depthwise, pooled, pointwise"](one_group)
    windows = signal(CHANNELS, SAMPLES, CLASSES)
    texts: dict[str, str] = {}
    compile_model(module, windows, name="test", techniques=ALL - {left_out}, watch=texts.__setitem__)
    signs = {"rounds": "parts of the channels", "first_layer": "normed_weight", "pooled_sums": "pooled_norm_sums"}
    assert signs.get(left_out, "no such thing") not in texts["allocate"]


def test_chains_end_where_a_value_is_used_twice_or_mixes_channels():
    from device_agent.compiler.capture import capture
    from device_agent.compiler.normalise import normalise

    size = SIZES["resnet1d"]
    graph = normalise(capture(build_model("resnet1d"), (1, size.channels, size.samples)), Norm.GROUP)
    chains = find_chains(graph)
    kinds = [
        [graph.ops[at].kind.replace("_forward", "") for at in chain if graph.ops[at].kind != "reshape"]
        for chain in chains
    ]
    assert kinds[0] == ["conv2d", "group_norm", "relu", "clipped_max_pool"]
    assert all(chain.count("conv2d") == 1 for chain in kinds)
    assert not {"add", "linear", "dropout"} & {kind for chain in kinds for kind in chain}
