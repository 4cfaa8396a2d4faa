"""Parts of large tensors in L1 beside the work: the same bits, the executor's count, and what limits there are."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn

from device_agent.compiler import levels, memory_plan, search
from device_agent.compiler.compile import compile_model
from device_agent.compiler.copies import follow_copies
from device_agent.compiler.gap9 import DMA_BYTES_PER_CYCLE
from device_agent.compiler.ir import Op, Program, Value, in_loop
from device_agent.compiler.staging import choice, convolutions, stretches
from device_agent.compiler.stream.choice import ALL
from device_agent.engine.engine import CANDIDATE, Engine, EngineError
from device_agent.models import SIZES, build_model
from schemas.plan import TURNS, Region, View
from tests.compiled import device_step, random_windows, randomise_norms, signal
from tests.judge import assert_parity, torch_step
from tests.runtime.handmade import Code, ramp, tiny_plan

CHANNELS, SAMPLES, CLASSES, BATCH = 4, 400, 3, 2
COPIES = {"copy_start", "copy_ahead", "copy_wait", "staged_conv2d_forward", "staged_conv2d_weight_gradient"}


def spatial_then_temporal(classes: int = CLASSES, spatial: int = 8, kernel: int = 16) -> nn.Module:
    """A small MI-BMInet."""
    return nn.Sequential(
        nn.Conv2d(1, spatial, (CHANNELS, 1), bias=False),
        nn.GroupNorm(1, spatial),
        nn.Conv2d(spatial, spatial, (1, kernel), padding="same", groups=spatial, bias=False),
        nn.GroupNorm(1, spatial),
        nn.ReLU(),
        nn.AvgPool2d((1, 8)),
        nn.Flatten(),
        nn.Linear(spatial * (SAMPLES // 8), classes),
    )


@contextmanager
def l1_of(size: int, room: float = 2.0):
    """So small that what is large elsewhere is large here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(levels, "L1_BYTES", size)
        patch.setattr(memory_plan, "STAGING_ROOM", room)
        patch.setattr(search, "ROOM", 2.0)
        patch.setattr(stretches, "LARGE", 8192)
        patch.setattr(stretches, "PART", 6400)
        patch.setattr(convolutions, "PART", 6400)
        patch.setattr(choice, "_SMALL", 256)
        patch.setattr(stretches, "COPY_CYCLES", 0)
        yield


def compiled(module, techniques=ALL, **settings):
    texts: dict[str, str] = {}
    given = signal(CHANNELS, SAMPLES, CLASSES)
    plan = compile_model(module, given, name="test", techniques=techniques, watch=texts.__setitem__, **settings)
    return plan, texts["allocate"]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("l1", [6_000, 10_000, 15_000, 18_000])
def test_parts_that_come_and_go_give_the_same_bits_and_are_counted(l1):
    torch.manual_seed(1)
    module = randomise_norms(spatial_then_temporal())
    windows = random_windows(BATCH, CHANNELS, SAMPLES, CLASSES)
    exact, single = (torch_step(module, windows.inputs, windows.labels, t) for t in (torch.float64, torch.float32))
    weights = set()
    with l1_of(l1):
        for techniques in (ALL, ALL - {"staging"}, ALL - {"l1"}):
            plan, text = compiled(module, techniques)
            memory = plan.report["memory"]
            assert any(name in text for name in COPIES) == (techniques == ALL)
            with Engine(plan.file, plan.weights_file(module)) as engine:
                ours = device_step(plan, engine, windows)
                assert engine.training_bytes == memory["total_bytes"]
                weights.add(engine.values(CANDIDATE))
            assert_parity(ours.gradients, exact.gradients, single.gradients, "gradient")
            copied = plan.report["traffic"]["copied_bytes"]
            assert (copied > 0) == (techniques == ALL)
    assert len(weights) == 1


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
def test_every_form_of_a_copy_is_found_in_some_size_of_l1():
    found = set()
    for l1 in (6_000, 10_000, 15_000, 18_000):
        with l1_of(l1):
            _, text = compiled(spatial_then_temporal())
        found |= {name for name in COPIES if name in text}
    assert found == COPIES


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
def test_a_budget_is_kept_with_copies_too():
    module = spatial_then_temporal()
    with l1_of(15_000):
        free = compiled(module)[0].report["memory"]["total_bytes"]
        plain = compiled(module, ALL - {"staging"})[0].report["memory"]["total_bytes"]
        assert plain < free
        for budget in (plain, (plain + free) // 2, free):
            assert compiled(module, budget=budget)[0].report["memory"]["total_bytes"] <= budget


def test_what_fits_into_l1_whole_is_not_copied():
    plan, text = compiled(spatial_then_temporal(kernel=15))
    assert not any(name in text for name in COPIES)
    assert plan.report["traffic"]["copied_bytes"] == 0


@pytest.mark.slow
def test_the_papers_eeg_network_stays_below_half_a_megabyte_and_reads_little_in_l2():
    size = SIZES["mi-bminet"]
    given = signal(size.channels, size.samples, size.classes)
    ours = compile_model(build_model("mi-bminet"), given, name="mi-bminet").report
    assert ours["memory"]["total_bytes"] <= 500_000
    assert ours["macs"]["recompute"] <= 0.1 * ours["macs"]["forward"]
    assert ours["traffic"]["l2_bytes"] < 0.1 * (ours["traffic"]["l1_bytes"] + ours["traffic"]["l2_bytes"])
    assert ours["gap9"]["copy_wait_cycles_per_sample"] < ours["traffic"]["copied_bytes"] / DMA_BYTES_PER_CYCLE / 2


def test_work_beside_a_copy_hides_it():
    far, near = Value.new("far", (8000,)), Value.new("near", (8000,), Region.L1)
    begin, wait = Op("copy_start", (far, near)), Op("copy_wait", (near,))
    work = Op("norm_row_statistics", (Value.new("x", (64, 8000)), Value.new("rows", (64, 2))))
    alone = follow_copies(Program([begin, wait]))
    assert alone.bytes == 32_000
    assert 0.8 * 4000 < alone.waited < 4000  # less what it takes to begin
    assert follow_copies(Program([begin, work, wait])).waited == 0


def test_a_copy_for_the_next_round_is_none_in_the_last():
    far, near = Value.new("far", (4, 100)), Value.new("near", (2, 100), Region.L1)
    part, half = far.part(4), Value("near", (1, 100), near.storage, 400, turns=True)
    program = Program(in_loop([Op("copy_wait", (half,)), Op("copy_ahead", (part, half))], 4))
    assert follow_copies(program).bytes == 3 * 400


VIEWS = (
    View(Region.ARENA, 0, (8,), (32,)),  # one channel of the input a round
    View(Region.L1, 0, (8,), (32 | TURNS,)),
    View(Region.ARENA, 256, (8,), (32,)),
    View(Region.ARENA, 0, (8,)),
    View(Region.L1, 0, (8,)),
)
FROM, HALF, TO, FIRST, FIRST_HALF = 11, 12, 13, 14, 15


def through_two_halves(rounds: int = 2) -> Code:
    code = Code().run("copy_start", FIRST, FIRST_HALF).loop(rounds).run("copy_wait", HALF)
    return code.run("copy_ahead", FROM, HALF).run("copy", HALF, TO).end_loop().run("linear_forward", 0, 1, 2, 3)


def test_halves_take_turns_and_the_last_round_fetches_nothing():
    with Engine(tiny_plan(through_two_halves(), VIEWS)) as engine:
        engine.infer(ramp(), np.ones(2, np.float32))
        np.testing.assert_array_equal(engine.region(Region.ARENA)[64:80], np.arange(16, dtype=np.float32))
        np.testing.assert_array_equal(engine.region(Region.L1)[:16], np.arange(16, dtype=np.float32))


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("a copy for the next round without a loop", Code().run("copy_ahead", FIRST, FIRST_HALF)),
        ("a source that walks out of its region", through_two_halves(rounds=99)),
        ("a copy between shapes that differ", Code().run("copy_start", 0, 3)),
        ("a copy into the weights", Code().run("copy_start", FIRST, 1)),
        ("a wait for nothing", Code().run("copy_wait", None)),
    ],
)
def test_copies_that_cannot_be_are_refused(what, code):
    code = code if what.startswith("a source") else code.run("linear_forward", 0, 1, 2, 3)
    with pytest.raises(EngineError, match="BT_BAD_PLAN"):
        Engine(tiny_plan(code, VIEWS))
