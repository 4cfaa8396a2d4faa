"""A user's own file through `biotrain plan`, and the words for what cannot be compiled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from biotrain.commands.plan import main as plan_command
from device_agent.compiler.compile import compile_model
from device_agent.compiler.errors import CompileError
from device_agent.compiler.normalise import Norm
from device_agent.engine.engine import Engine
from schemas.errors import UserError
from schemas.plan import read_plan
from tests.compiled import compiled, device_step, random_windows, signal
from tests.judge import assert_parity, torch_step

FILE = """
import torch
from torch import nn

from parts import WIDTH


class Model(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.conv = nn.Conv1d(4, WIDTH, 5)
        self.classify = nn.Linear(WIDTH, classes)

    def forward(self, x):
        return self.classify(torch.relu(self.conv(x)).mean(dim=2))


class Odd(Model):
    def forward(self, x):
        x = torch.sinh(self.conv(x))
        return self.classify(x.mean(dim=2))


class Branching(Model):
    def forward(self, x):
        if x.sum() > 0:
            x = -x
        return self.classify(self.conv(x).mean(dim=2))


class NeedsMore(nn.Module):
    def __init__(self, width):
        super().__init__()


two_classes = Model(2)


def made():
    return Model(7)


def nothing():
    return 3
"""


@pytest.fixture
def file(tmp_path) -> Path:
    (tmp_path / "parts.py").write_text("WIDTH = 6\n")
    path = tmp_path / "my_module.py"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize(("name", "classes"), [("Model", 3), ("two_classes", 2), ("made", 7)])
def test_a_users_class_module_or_function_compiles(file, name, classes, capsys, tmp_path):
    out = tmp_path / "my.plan"
    plan_command(f"{file}:{name}", input_size="4x50", out=out, as_json=True)
    report = json.loads(capsys.readouterr().out)
    assert (report["model"], report["params"]) == (name, 4 * 5 * 6 + 6 + 6 * classes + classes)
    header = read_plan(out.read_bytes()).header
    assert (header.channels, header.samples, header.classes) == (4, 50, classes)


def test_modes_and_optimisers_are_settings_of_the_command(file, capsys):
    plan_command(f"{file}:Model", input_size="4x50", mode="conv.weight,classify.*", optimizer="adam", as_json=True)
    report = json.loads(capsys.readouterr().out)
    assert (report["mode"], report["params"]) == ("conv.weight,classify.*", 120 + 18 + 3)
    assert report["memory"]["optimizer_bytes"] == 2 * 4 * report["params"]


@pytest.mark.parametrize(
    ("model", "settings", "words"),
    [
        ("my_module.py:Odd", {}, r"\(my_module\.py:20\): aten\.sinh\.default is not supported"),
        ("my_module.py:Branching", {}, r"depends on the data \(my_module\.py:26\)"),
        ("my_module.py:NeedsMore", {}, "cannot be made without arguments"),
        ("my_module.py:nothing", {}, "gives a int, expected a torch.nn.Module"),
        ("my_module.py:Missing", {}, "has no Missing: it has Model, Odd, Branching, NeedsMore"),
        ("my_module.py", {}, "say which network"),
        ("other.py:Model", {}, "there is no file"),
        ("my_module.py:Model", {"input_size": ""}, "--input CHANNELSxSAMPLES"),
        ("my_module.py:Model", {"input_size": "4*50"}, "no window size"),
        ("my_module.py:Model", {"input_size": "5x50"}, r"takes neither input: \[N, 1, 5, 50\]"),
        ("my_module.py:Model", {"mode": "everything"}, "there is no mode"),
        ("my_module.py:Model", {"mode": "body.*"}, "no parameter that can be trained"),
        ("my_module.py:Model", {"optimizer": "lion"}, "there is no optimizer"),
        ("resnet", {}, "there is no model 'resnet'"),
    ],
)
def test_what_cannot_be_compiled_is_told_in_words(file, monkeypatch, model, settings, words):
    monkeypatch.chdir(file.parent)
    with pytest.raises(UserError, match=words):
        plan_command(model, **{"input_size": "4x50", **settings})


def test_a_file_that_cannot_be_imported_says_why(tmp_path):
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_there\n")
    with pytest.raises(UserError, match="No module named 'a_module_that_is_not_there'"):
        plan_command(f"{tmp_path}/broken.py:Model", input_size="4x50")


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, (2, 5)), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 1 * 16, 3))


def test_weights_of_another_type_are_refused_by_name():
    module = small()
    module[3].double()
    with pytest.raises(CompileError, match=r"3\.weight is torch\.float64: the device computes in float32"):
        compile_model(module, signal(2, 20, 3), name="test")


def test_weights_that_are_not_finite_are_refused_by_name():
    module = small()
    plan = compile_model(module, signal(2, 20, 3), name="test")
    module[0].bias.data[1] = torch.inf
    with pytest.raises(CompileError, match=r"0\.bias holds NaN or infinity"):
        plan.weights_file(module)


def test_weights_of_another_shape_are_refused_by_name():
    plan = compile_model(small(), signal(2, 20, 3), name="test")
    other = nn.Sequential(nn.Conv2d(1, 4, (2, 3)), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3))
    with pytest.raises(CompileError, match=r"0\.weight has shape \(4, 1, 2, 3\), the plan was compiled with"):
        plan.weights_file(other)


def test_weights_that_are_not_contiguous_are_trained_as_torch_trains_them():
    module, windows = small(), random_windows(3, 2, 20, 3)
    module[0].weight = nn.Parameter(module[0].weight.detach().permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0))
    assert not module[0].weight.is_contiguous()
    plan = compiled(module, windows, 3, Norm.GROUP)
    with Engine(plan.file, plan.weights_file(module)) as engine:
        ours = device_step(plan, engine, windows)
    steps = [torch_step(module, windows.inputs, windows.labels, dtype) for dtype in (torch.float64, torch.float32)]
    assert_parity(ours.weights, steps[0].weights, steps[1].weights, "updated weight")


class OwnTensor(nn.Module):
    def __init__(self):
        super().__init__()
        self.classify = nn.Linear(40, 2)

    def forward(self, x):
        return self.classify(torch.flatten(x, 1) + torch.tensor([1.0] * 40))


def test_a_tensor_made_in_forward_is_refused():
    with pytest.raises(CompileError, match="makes a tensor of its own in forward"):
        compile_model(OwnTensor(), signal(2, 20, 2), name="test")


def test_a_softmax_at_the_end_is_answered_with_what_to_do():
    module = nn.Sequential(nn.Flatten(), nn.Linear(40, 2), nn.Softmax(1))
    with pytest.raises(CompileError, match=r"aten\.softmax\.int is not supported; use the logits as they are"):
        compile_model(module, signal(2, 20, 2), name="test")
