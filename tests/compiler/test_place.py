"""What lies in L1: no more memory in all, the same bits, and the executor's count."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from device_agent.compiler.compile import compile_model
from device_agent.compiler.memory_plan import STAGING_ROOM
from device_agent.compiler.normalise import Norm
from device_agent.compiler.place import L1_BYTES
from device_agent.compiler.stream.choice import ALL
from device_agent.compiler.training_options import Windows as Form
from device_agent.engine.engine import CANDIDATE, Engine, EngineError
from device_agent.models import SIZES, build_model
from schemas.plan import Region
from tests.compiled import Windows, device_step, random_windows, randomise_norms, signal
from tests.compiler.test_streaming import BATCH, CHANNELS, CLASSES, NETWORKS, SAMPLES, one_group


def both(module: nn.Module, **settings):
    """With and without a part of it in L1."""
    for techniques in (ALL, ALL - {"l1"}):
        yield compile_model(module, signal(CHANNELS, SAMPLES, CLASSES), name="test", techniques=techniques, **settings)


def in_one_go(engine: Engine, windows: Windows) -> None:
    """A step of exact batch norm, which needs all windows of a batch."""
    engine.begin_fit()
    engine.fit_batch(windows.counts, windows.scale, list(windows.labels))
    engine.fit_step(0.05)


@pytest.mark.parametrize("case", NETWORKS)
def test_the_levels_together_take_what_one_arena_would_and_give_the_same_bits(case):
    torch.manual_seed(1)
    module = randomise_norms(NETWORKS[case](one_group))
    windows = random_windows(BATCH, CHANNELS, SAMPLES, CLASSES)
    weights, used, totals = set(), [], set()
    for plan in both(module):
        memory = plan.report["memory"]
        used.append(memory["l1_bytes"])
        with Engine(plan.file, plan.weights_file(module)) as engine:
            device_step(plan, engine, windows)
            weights.add(engine.values(CANDIDATE))
            assert engine.training_bytes == memory["total_bytes"]
            assert engine.plan.header.region_bytes[Region.L1] == memory["l1_bytes"]
        totals.add(memory["total_bytes"])
    assert len(weights) == len(totals) == 1
    assert used[0] > used[1] == 0


@pytest.mark.parametrize("windows_form", Form)
def test_what_a_batch_leaves_free_in_inference_does_not_make_the_arena_grow(windows_form):
    """Beneath the window lie those of a batch, which are not there yet: too small a place for what inference needs."""
    torch.manual_seed(2)
    module = randomise_norms(NETWORKS["strides, dilation and three norms"](nn.BatchNorm2d))
    windows = random_windows(BATCH, CHANNELS, SAMPLES, CLASSES, seed=4)
    for plan in both(module, norm=Norm.BATCH, batch=BATCH, windows=windows_form):
        with Engine(plan.file, plan.weights_file(module)) as engine:
            in_one_go(engine, windows)
            assert engine.training_bytes == plan.report["memory"]["total_bytes"]


def test_a_device_whose_l1_is_too_small_refuses_the_plan():
    plan = next(both(randomise_norms(NETWORKS["two dense blocks"](one_group))))
    needed = plan.report["memory"]["l1_bytes"]
    Engine(plan.file, l1=needed + 16).close()
    with pytest.raises(EngineError, match="BT_NO_MEMORY"):
        Engine(plan.file, l1=needed - 16)


@pytest.mark.slow
@pytest.mark.parametrize("norm", [Norm.GROUP, Norm.BATCH])
@pytest.mark.parametrize("name", ["mi-bminet", "epidenet"])
def test_much_of_what_the_papers_networks_touch_is_in_l1(name, norm):
    size, reports = SIZES[name], []
    for techniques in (ALL, ALL - {"l1"}):
        given = signal(size.channels, size.samples, size.classes)
        plan = compile_model(build_model(name), given, name=name, norm=norm, techniques=techniques)
        reports.append(plan.report)
    placed, plainly = reports
    assert placed["memory"]["total_bytes"] <= STAGING_ROOM * plainly["memory"]["total_bytes"]
    assert 0 < placed["memory"]["l1_bytes"] <= L1_BYTES
    everything = plainly["traffic"]["l2_bytes"]
    assert plainly["traffic"]["l1_bytes"] == 0
    assert placed["traffic"]["l1_bytes"] + placed["traffic"]["l2_bytes"] <= 1.2 * everything  # parts are read again
    least = {Norm.GROUP: 0.35, Norm.BATCH: 0.05}[norm]
    assert placed["traffic"]["l1_bytes"] > least * everything
    fewer = placed["gap9"]["l2_stall_cycles_per_sample"] / plainly["gap9"]["l2_stall_cycles_per_sample"]
    assert np.isclose(fewer, placed["traffic"]["l2_bytes"] / everything, rtol=1e-3)
