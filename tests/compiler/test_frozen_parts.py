"""What nobody trains costs nothing: neither multiply-accumulates of its gradients nor memory that waits for them."""

from __future__ import annotations

from math import prod

import pytest

from device_agent.compiler.compile import CompiledPlan, compile_model
from device_agent.compiler.traffic import runs
from device_agent.compiler.training_options import Mode
from device_agent.models import SIZES, build_model
from tests.compiled import signal


def plan_of(name: str, mode) -> CompiledPlan:
    size = SIZES[name]
    return compile_model(build_model(name), signal(size.channels, size.samples, size.classes), name=name, mode=mode)


def gradients(plan: CompiledPlan) -> dict[str, set[str]]:
    """Layers of the training program, by kind of gradient."""
    train = plan.programs[1][0]
    found: dict[str, set[str]] = {}
    for op, _ in runs(train):
        if op.kind.endswith(("_gradient", "backward", "covariance")) or "backward" in op.kind:
            found.setdefault(op.kind, set()).add(op.layer)
    return found


@pytest.fixture(scope="module")
def whole() -> CompiledPlan:
    return plan_of("epidenet", Mode.FULL)


def test_a_last_layer_alone_has_one_gradient_and_nothing_waits_for_it(whole):
    plan = plan_of("epidenet", Mode.LAST_LAYER)
    assert gradients(plan) == {"linear_backward": {"classify"}}
    assert plan.report["macs"]["backward"] == 11 * 16
    kept = {layer.name: layer.kept_bytes for layer in plan.layers if layer.kept_bytes}
    assert set(kept) == {"mean"}, "the classifier's input"
    memory = plan.report["memory"]
    assert memory["gradients_bytes"] == memory["optimizer_bytes"] == 4 * (11 * 16 + 11)
    assert memory["total_bytes"] < 0.5 * whole.report["memory"]["total_bytes"]


def test_norms_alone_need_no_weight_gradient_of_a_convolution(whole):
    plan = plan_of("epidenet", Mode.NORM_ONLY)
    found = gradients(plan)
    assert not {"conv2d_weight_gradient", "tap_covariance"} & set(found)
    (classify,) = (op for op, _ in runs(plan.programs[1][0]) if op.kind == "linear_backward")
    assert classify.optional("dweight") is None
    behind_the_first = {"block_2.0", "block_3.0", "block_4.0", "block_5.0"}
    assert found["conv2d_input_gradient"] == behind_the_first
    convolutions = sum(layer.macs for layer in plan.layers if layer.name in behind_the_first)
    assert plan.report["macs"]["backward"] == convolutions + 11 * 16
    assert plan.report["memory"]["gradients_bytes"] == 4 * 2 * (4 + 4 * 16)
    assert plan.report["memory"]["total_bytes"] < whole.report["memory"]["total_bytes"]


def test_frozen_first_layers_end_the_backward_pass(whole):
    plan = plan_of("epidenet", ["block_4.*", "block_5.*", "classify.*"])
    layers = {layer for found in gradients(plan).values() for layer in found}
    assert {layer.split(".")[0] for layer in layers} <= {"block_4", "block_5", "classify", "mean"}
    assert "block_4.0" not in gradients(plan)["conv2d_input_gradient"], "nobody asks for it"
    kept = {layer.name for layer in plan.layers if layer.kept_bytes}
    assert not {name for name in kept if name.startswith(("block_1", "block_2"))}
    trained = [shape for name, shape in plan.parameters if name.startswith(("block_4", "block_5", "classify"))]
    assert plan.report["memory"]["gradients_bytes"] == 4 * sum(map(prod, trained))


def test_nobody_asks_for_the_gradient_of_the_windows(whole):
    found = gradients(whole)
    assert "block_1.0" not in found["conv2d_input_gradient"]
    assert found["conv2d_input_gradient"] == {"block_2.0", "block_3.0", "block_4.0", "block_5.0"}
