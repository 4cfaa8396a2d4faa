"""Plans of every kind of norm, loss and optimiser, trained by the wearable: the engine's weights, bit for bit."""

from __future__ import annotations

import ctypes
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from device_agent.compiler.compile import CompiledPlan, Signal, compile_model
from device_agent.compiler.normalise import Norm
from device_agent.compiler.training_options import Loss, Optimizer
from device_agent.engine.engine import CANDIDATE, Engine, load_library
from device_agent.models import SIZES, build_model
from device_agent.sources.window import Window
from device_agent.wearable.api import Bank, DeviceEventKind, FitRequest, WearableError
from device_agent.wearable.client import LinkWearable
from device_agent.wearable.connect import connect, provision
from device_agent.wearable.fit_request import fit_body
from schemas.link.opcodes import Capability
from schemas.plan import read_plan
from schemas.weights import read_weights
from tests.wearable.conftest import CHANNELS, CLASSES, QUICK, RATE_HZ, SAMPLES, make_window
from tests.wearable.test_wearable import events_until

#: Fits that run for seconds: not for every quick run.
pytestmark = pytest.mark.slow

COUNT = 21
"""Windows of a fit: two whole batches of 8 and a rest."""


@dataclass(frozen=True)
class Case:
    compiled: dict[str, object]
    fit: dict[str, object]


CASES = {
    "exact batch norm": Case({"norm": Norm.BATCH, "batch": 8}, {"learning_rate": 0.02}),
    "exact batch norm, adam": Case(
        {"norm": Norm.BATCH, "batch": 5, "optimizer": Optimizer.ADAM},
        {"batch_size": 5, "learning_rate": 0.002, "optimizer": "adam", "warm_up": 3},
    ),
    "adamw, betas, clipping": Case(
        {"optimizer": Optimizer.ADAMW},
        {"learning_rate": 0.003, "betas": (0.8, 0.95), "epsilon": 1e-6, "clip_norm": 0.5, "weight_decay": 0.1},
    ),
    "nesterov, warm-up, constant rate": Case(
        {}, {"learning_rate": 0.01, "nesterov": True, "warm_up": 4, "cosine": False, "optimizer": "sgd"}
    ),
    "smoothing and class weights": Case(
        {"loss": Loss(0.1, (1.0, 2.0, 0.5, 1.0, 1.0, 3.0))}, {"learning_rate": 0.01, "batch_size": 7}
    ),
}


def plan_of(case: Case) -> tuple[CompiledPlan, bytes]:
    torch.manual_seed(1)
    size = SIZES["epidenet-short"]
    module = build_model("epidenet-short", type(size)(CHANNELS, SAMPLES, CLASSES, RATE_HZ))
    signal = Signal(("a", "b", "c", "d"), SAMPLES, RATE_HZ, tuple(f"grip {i}" for i in range(CLASSES)))
    plan = compile_model(module, signal, name="short", **case.compiled)
    return plan, plan.weights_file(module)


def shuffled(seed: int, count: int) -> Iterator[list[int]]:
    """The order of each epoch's windows, as the firmware draws it."""
    state, order = ctypes.c_uint64(seed), (ctypes.c_uint32 * count)()
    while True:
        load_library().bt_shuffle(ctypes.byref(state), order, count)
        yield list(order)


def train_on_the_engine(plan: CompiledPlan, weights: bytes, fit: FitRequest, windows: list[Window]) -> bytes:
    """The same fit, written down from its description: order, batches, rates."""
    whole = plan.report["batch"] if plan.report["norm"] == "batch" else 1
    used = len(windows) - len(windows) % whole
    starts = range(0, used, fit.batch_size)
    with Engine(plan.file, weights) as engine:
        engine.begin_fit((fit.seed ^ (fit.seed >> 32)) & 0xFFFFFFFF)
        step, steps = 0, fit.epochs * len(starts)
        for _, order in zip(range(fit.epochs), orders := shuffled(fit.seed, len(windows)), strict=False):
            for start in starts:
                batch = [windows[i] for i in order[start : min(start + fit.batch_size, used)]]
                if whole > 1:
                    engine.fit_batch(
                        np.stack([w.counts for w in batch]), batch[0].scale, [int(w.label or 0) for w in batch]
                    )
                else:
                    for window in batch:
                        engine.fit_sample(window.counts, window.scale, int(window.label or 0))
                rate = engine.scheduled_rate(fit.learning_rate, step, steps, warm_up=fit.warm_up, cosine=fit.cosine)
                engine.fit_step(
                    rate,
                    fit.momentum,
                    fit.weight_decay,
                    nesterov=fit.nesterov,
                    betas=fit.betas,
                    epsilon=fit.epsilon,
                    clip_norm=fit.clip_norm,
                )
                step += 1
        orders.close()
        return engine.values(CANDIDATE)


@pytest.fixture
async def local(tmp_path) -> AsyncIterator[LinkWearable]:
    wearable = await connect("local", timing=QUICK, storage=tmp_path / "local.flash")
    yield wearable
    await wearable.close()


@pytest.mark.parametrize("name", CASES)
async def test_the_wearable_trains_to_the_engines_weights(local, name):
    case = CASES[name]
    plan, weights = plan_of(case)
    await provision(local, plan.file, weights)
    windows = [make_window(id_) for id_ in range(COUNT)]
    for window in windows:
        await local.push(window)
    fit = FitRequest(fit_id=4, window_ids=range(COUNT), epochs=3, seed=2**40 + 3, **case.fit)
    await local.start_fit(fit)
    events = await events_until(local, DeviceEventKind.FIT_DONE)
    whole = local.info.batch
    steps = 3 * -(-(COUNT - COUNT % whole) // fit.batch_size)
    assert (events[-1].step, events[-1].steps) == (steps, steps)
    values = read_weights(await local.read_weights(Bank.CANDIDATE), plan.hash).values
    assert values == train_on_the_engine(plan, weights, fit, windows)
    assert values != read_weights(weights, plan.hash).values


async def test_a_window_comes_between_the_batches_of_an_exact_batch_norm(local):
    plan, weights = plan_of(CASES["exact batch norm"])
    await provision(local, plan.file, weights)
    windows = [make_window(id_) for id_ in range(COUNT)]
    before = [await local.push(window) for window in windows]
    fit = FitRequest(fit_id=4, window_ids=range(COUNT), epochs=60, learning_rate=0.02)
    await local.start_fit(fit)
    seen = 0
    while (await local.statistics()).fitting:
        report = await local.push(replace(windows[seen % COUNT], id=1000 + seen))
        assert report.probabilities == before[seen % COUNT].probabilities
        seen += 1
    assert seen > 3
    values = read_weights(await local.read_weights(Bank.CANDIDATE), plan.hash).values
    assert values == train_on_the_engine(plan, weights, fit, windows)


async def test_a_fit_that_does_not_go_with_the_plan_is_refused_with_what_to_do(local):
    plan, weights = plan_of(CASES["exact batch norm"])
    await provision(local, plan.file, weights)
    assert (local.info.batch, local.info.optimizer) == (8, "sgd")
    for id_ in range(COUNT):
        await local.push(make_window(id_))
    fit = FitRequest(fit_id=1, window_ids=range(COUNT))
    for change, words in (
        ({"optimizer": "adam"}, "the plan trains with sgd, the fit asks for adam: compile the model for adam"),
        ({"optimizer": "lion"}, "no optimiser 'lion': choose sgd, adam, adamw"),
        ({"batch_size": 16}, "batches of 8 windows, the fit asks for 16: ask for 8"),
        ({"window_ids": range(7)}, "needs at least its 8 windows, the fit has 7"),
        ({"clip_norm": float("nan")}, "finite settings"),
        ({"warm_up": 1000}, "out of range"),
        ({"betas": (1.0, 0.9)}, "out of range"),
    ):
        with pytest.raises(WearableError, match=words) as refused:
            await local.start_fit(replace(fit, **change))
        assert refused.value.code == "BAD_ARGUMENT"
    assert await local.read_weights() == weights


async def test_firmware_that_is_too_old_for_a_setting_is_named(local):
    await provision(local, *(lambda plan: (plan[0].file, plan[1]))(plan_of(Case({}, {}))))
    fit = FitRequest(fit_id=1, window_ids=[1])
    assert Capability.FIT_SETTINGS in local.capabilities
    assert fit_body(fit, local.info, Capability(0)).settings is None  # what every firmware takes goes to every firmware
    with pytest.raises(
        WearableError, match=r"takes neither .* nor Nesterov.*: update it, or leave them out"
    ) as refused:
        fit_body(replace(fit, nesterov=True), local.info, Capability(0))
    assert refused.value.code == "UNSUPPORTED"
    assert len(local.info.build) == 12


@pytest.mark.slow
async def test_numbers_that_leave_all_bounds_end_the_fit_with_step_and_layer(local):
    for name in ("exact batch norm", "smoothing and class weights"):
        plan, weights = plan_of(CASES[name])
        await provision(local, plan.file, weights)
        for id_ in range(COUNT):
            await local.push(make_window(id_))
        wild = FitRequest(fit_id=6, window_ids=range(COUNT), epochs=5, learning_rate=900.0, weight_decay=900.0)
        await local.start_fit(wild)
        failed = (await events_until(local, DeviceEventKind.FIT_FAILED))[-1]
        layers = {p["name"].rpartition(".")[0] for p in plan_names(plan)}
        reason, _, layer = failed.detail.partition(" in ")
        assert (reason, layer in layers) == ("NOT_FINITE", True), failed.detail
        assert 1 < failed.step < failed.steps
        with pytest.raises(WearableError) as refused:
            await local.commit()
        assert refused.value.code == "WRONG_STATE"
        assert await local.read_weights() == weights


async def test_what_the_last_step_breaks_is_no_candidate(local):
    """No window meets the weights that the last step leaves: they are looked at all the same."""
    plan, file = plan_of(Case({}, {}))
    place = next(p for p in plan_names(plan) if p["name"] == "classify.bias")
    values = np.frombuffer(read_weights(file, plan.hash).values, "<f4").copy()
    values[int(place["offset"]) // 4] = 3e38  # class 0 is certain, the loss is 0, and decay leaves float32's range
    weights = replace(read_weights(file, plan.hash), values=values.tobytes()).pack()
    await provision(local, plan.file, weights)
    for id_ in range(4):
        await local.push(make_window(id_, 0))
    await local.start_fit(
        FitRequest(fit_id=6, window_ids=range(4), epochs=1, batch_size=4, learning_rate=900.0, weight_decay=900.0)
    )
    failed = (await events_until(local, DeviceEventKind.FIT_FAILED))[-1]
    assert (failed.detail, failed.step, failed.steps) == ("NOT_FINITE in classify", 1, 1)
    assert not (await local.statistics()).candidate
    assert await local.read_weights() == weights


def plan_names(plan: CompiledPlan) -> list[dict[str, str]]:
    return list(read_plan(plan.file).names["parameters"])
