"""What the compiler promises besides numbers: the same bytes every time, and words for what it cannot do."""

from __future__ import annotations

import re
import time

import pytest
import torch
from torch import nn

from device_agent.compiler.compile import compile_model
from device_agent.compiler.differentiate import Mode
from device_agent.compiler.errors import CompileError
from device_agent.compiler.normalise import Norm
from device_agent.engine.engine import Engine
from device_agent.models import SIZES, build_model
from device_agent.models.norms import with_group_norm
from schemas.plan import Region, read_plan
from schemas.plan_operations import OPERATIONS
from tests.compiled import ZOO, compiled, device_step, random_windows, signal


@pytest.mark.parametrize("name", ZOO)
def test_a_plan_compiled_twice_is_the_same_file_within_five_seconds(name):
    size = SIZES[name]
    windows = signal(size.channels, size.samples, size.classes)
    began = time.process_time()
    first = compile_model(build_model(name), windows, name=name)
    assert time.process_time() - began < 5
    assert compile_model(build_model(name), windows, name=name).file == first.file


@pytest.mark.parametrize("name", ZOO)
def test_the_arena_is_the_largest_live_set(name):
    size = SIZES[name]
    plan = compile_model(build_model(name), signal(size.channels, size.samples, size.classes), name=name)
    memory = plan.report["memory"]
    assert memory["arena_bytes"] <= 1.02 * memory["arena_lower_bound_bytes"]
    slots = read_plan(plan.file).header.region_bytes[Region.SCALARS]
    parts = ("weights_bytes", "gradients_bytes", "optimizer_bytes", "arena_bytes", "l1_bytes")
    assert memory["total_bytes"] == sum(memory[part] for part in parts) + slots


def test_the_models_have_the_papers_parameters():
    assert {name: sum(p.numel() for p in build_model(name).parameters()) for name in ("mi-bminet", "epidenet")} == {
        "mi-bminet": 7938,
        "epidenet": 4179,
    }


def test_the_device_and_the_compiler_agree_on_every_operation(repository):
    header = (repository / "device_agent/firmware/runtime/operations.h").read_text()
    device = {
        name: (int(number), int(views), int(immediates), int(writes, 16))
        for name, number, views, immediates, writes in re.findall(r"X\((\w+), (\d+), (\d+), (\d+), (0x\w+)\)", header)
    }
    host = {
        name: (
            op.number,
            len(op.operands),
            len(op.integers) + len(op.floats),
            sum(1 << at for at, operand in enumerate(op.operands) if operand in op.writes),
        )
        for name, op in OPERATIONS.items()
    }
    assert device == host


class Unsupported(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(1, 2, (2, 3))
        self.classify = nn.Linear(2, 2)

    def forward(self, x):
        x = torch.cumsum(self.mix(x), dim=3)
        return self.classify(x.mean(dim=(2, 3)))


def test_an_unknown_operator_is_named_with_its_place_in_the_users_file():
    with pytest.raises(CompileError, match=r"test_compile\.py:\d+.*aten\.cumsum\.default is not supported"):
        compile_model(Unsupported(), signal(2, 20, 2), name="test")


def test_a_model_with_other_classes_than_the_signal_is_refused():
    with pytest.raises(CompileError, match="6 outputs, there are 4 classes"):
        compile_model(build_model("epidenet-short"), signal(4, 200, 4), name="test")


def test_windows_too_short_for_the_model_are_refused():
    with pytest.raises(CompileError, match="cannot be exported"):
        compile_model(build_model("epidenet-short"), signal(4, 20, 6), name="test")


def test_the_last_layer_alone_is_trained_when_asked_for():
    module = build_model("epidenet-short")
    size = SIZES["epidenet-short"]
    windows = random_windows(8, size.channels, size.samples, size.classes)
    plan = compile_model(module, signal(size.channels, size.samples, size.classes), name="test", mode=Mode.LAST_LAYER)
    assert plan.report["params"] == 16 * 6 + 6
    with Engine(plan.file, plan.weights_file(module)) as engine:
        before = plan.load_values(engine.values())
        after = device_step(plan, engine, windows).weights
    changed = {name for name in before if (before[name] != after[name]).any()}
    assert changed == {"classify.weight", "classify.bias"}


def test_the_plan_tells_hosts_what_it_is_for():
    module = build_model("epidenet-short")
    plan = read_plan(compiled(module, random_windows(1, 4, 200, 6), 6, Norm.FROZEN).file)
    assert plan.names["channels"] == ["ch0", "ch1", "ch2", "ch3"]
    assert plan.names["classes"] == [f"class{i}" for i in range(6)]
    assert (plan.header.channels, plan.header.samples, plan.header.classes) == (4, 200, 6)
    assert {p["name"] for p in plan.names["parameters"]} >= {"block_1.0.weight", "block_1.1.running_var"}


@pytest.mark.slow
def test_what_group_norm_cannot_keep_of_batch_norm_is_said():
    module = build_model("epidenet-short")
    windows = signal(4, 200, 6)
    (note,) = compile_model(module, windows, name="test", norm=Norm.GROUP).report["notes"]
    assert "5 batch norms became group norms (block_1.1, " in note
    assert "running statistics" in note
    assert compile_model(module, windows, name="test", norm=Norm.FROZEN).report["notes"] == []
    assert compile_model(with_group_norm(module), windows, name="test").report["notes"] == []
