"""An adapted model outside the device: a torch module with the plan's preprocessing, as ONNX or as a `.pt` file."""

from __future__ import annotations

import io
import json
import warnings
from typing import Any

import numpy as np
import torch
from torch import nn

from device_agent.compiler.errors import CompileError
from device_agent.models import SIZES, ModelSize, build_model
from device_agent.models.norms import with_group_norm
from device_agent.preprocessing.in_plan import read_preprocessing
from device_agent.preprocessing.steps import Preprocessing
from schemas.errors import UserError
from schemas.plan import Plan, read_plan
from schemas.weights import Weights, read_weights

_OPSET = 17


class Prepare(nn.Module):
    """The plan's preprocessing: [N, channels, samples] in the source's unit -> the model's input [N, 1, C, samples].

    A causal filter that starts at rest is a convolution with its impulse response over one window.
    """

    matrix: torch.Tensor | None
    response: torch.Tensor | None
    offset: torch.Tensor | None
    gain: torch.Tensor | None

    def __init__(self, steps: Preprocessing, samples: int) -> None:
        super().__init__()
        self._centre, self._floor, self._samples = steps.centre, steps.log_floor, samples
        for name, values in (("matrix", steps.matrix), ("offset", steps.offset), ("gain", steps.gain)):
            self.register_buffer(name, None if values is None else torch.tensor(values))
        response = None
        if steps.sections is not None:
            impulse = np.zeros((1, samples), np.float32)
            impulse[0, 0] = 1.0
            response = torch.tensor(Preprocessing(sections=steps.sections).apply(impulse)[0, ::-1].copy())
        self.register_buffer("response", response)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.matrix is not None:
            x = torch.matmul(self.matrix, x)
        if self.response is not None:
            rows = nn.functional.pad(x.reshape(-1, 1, self._samples), (self._samples - 1, 0))
            x = nn.functional.conv1d(rows, self.response.reshape(1, 1, -1)).reshape(x.shape)
        if self._floor is not None:
            x = torch.log(torch.clamp(x, min=self._floor))
        if self._centre:
            x = x - x.mean(dim=-1, keepdim=True)
        if self.offset is not None and self.gain is not None:
            x = (x - self.offset[:, None]) * self.gain[:, None]
        return x.unsqueeze(1)


class Exported(nn.Module):
    """From a window as the amplifier gives it to logits [N, classes]."""

    def __init__(self, prepare: Prepare, model: nn.Module, planar: bool) -> None:
        super().__init__()
        self.prepare, self.model, self._planar = prepare, model, planar

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.prepare(x)
        logits: torch.Tensor = self.model(x.squeeze(1) if self._planar else x)
        return logits


def rebuild(plan_file: bytes, weights_file: bytes, module: nn.Module | None = None) -> tuple[Exported, Plan, Weights]:
    """The module that the plan was compiled from, with these weights. `module`: the user's own, where it is not of the
    zoo. Raises UserError where they do not go together."""
    plan = read_plan(plan_file)
    weights = read_weights(weights_file, plan.hash)
    header, name = plan.header, plan.header.model
    if module is None:
        if name not in SIZES:
            raise UserError(f"the plan's model {name!r} is not of the zoo: name its class with --module FILE.py:CLASS")
        parameters = {p["name"]: p["shape"] for p in plan.names["parameters"]}
        size = ModelSize(_model_channels(plan_file, header.channels), header.samples, header.classes, 0.0)
        module = build_model(name, size)
        if plan.names["norm"] == "group" and not any(key.endswith("running_mean") for key in parameters):
            module = with_group_norm(module)
    _load(module, plan, weights)
    prepare = Prepare(read_preprocessing(plan_file), header.samples)
    exported = Exported(prepare, module, planar=False).eval()
    try:
        with torch.no_grad():
            exported(torch.zeros(1, header.channels, header.samples))
    except RuntimeError:
        exported = Exported(prepare, module, planar=True).eval()
    return exported, plan, weights


def _model_channels(plan_file: bytes, channels: int) -> int:
    matrix = read_preprocessing(plan_file).matrix
    return channels if matrix is None else len(matrix)


def _load(module: nn.Module, plan: Plan, weights: Weights) -> None:
    values = np.frombuffer(weights.values, "<f4")
    state: dict[str, torch.Tensor] = {}
    own = module.state_dict()
    for parameter in plan.names["parameters"]:
        name, at = parameter["name"], parameter["offset"] // 4
        if name not in own or tuple(own[name].shape or (1,)) != tuple(parameter["shape"]):
            raise CompileError(f"the module has no {name} of shape {parameter['shape']}: it is not the plan's")
        count = int(np.prod(parameter["shape"]))
        state[name] = torch.tensor(values[at : at + count]).reshape(own[name].shape)
    missing, unexpected = module.load_state_dict(state, strict=False)
    left = [name for name in missing if not name.endswith("num_batches_tracked")]
    if left or unexpected:
        raise CompileError(f"the plan says nothing of the module's {left[0]}: it is not the plan's module")


def describe(plan: Plan, weights: Weights) -> dict[str, Any]:
    """What goes along with a file, so that nobody has to ask which model it is."""
    return {
        "model": plan.header.model,
        "classes": list(plan.names["classes"]),
        "channels": list(plan.names["channels"]),
        "sampling_rate_hz": plan.header.sampling_rate_hz,
        "samples": plan.header.samples,
        "unit": plan.names.get("unit", ""),
        "plan_hash": plan.hash,
        "weights_version": weights.version,
        "weights_hash": weights.hash,
        "origin": weights.origin.name.lower(),
        "device_id": weights.device_id,
    }


def to_pt(exported: Exported, plan: Plan, weights: Weights) -> bytes:
    """`torch.load(file, weights_only=True)` gives state dict, the preprocessing's buffers, and what model it is."""
    buffer = io.BytesIO()
    torch.save(
        {
            "state_dict": exported.model.state_dict(),
            "preprocessing": dict(exported.prepare.named_buffers()),
            **describe(plan, weights),
        },
        buffer,
    )
    return buffer.getvalue()


def to_onnx(exported: Exported, plan: Plan, weights: Weights) -> bytes:
    """Input `window` [N, channels, samples] in the source's unit, output `logits` [N, classes]."""
    try:
        import onnx
    except ImportError:
        raise UserError("ONNX needs the package onnx: pip install 'biotrain[onnx]'") from None
    buffer = io.BytesIO()
    sample = torch.zeros(1, plan.header.channels, plan.header.samples)
    with warnings.catch_warnings():
        # the newer exporter needs onnxscript, and gives nothing more for these modules
        warnings.simplefilter("ignore")
        torch.onnx.export(
            exported, (sample,), buffer, dynamo=False,  # type: ignore[arg-type]  # the older exporter takes files
            opset_version=_OPSET,
            input_names=["window"], output_names=["logits"], dynamic_axes={"window": {0: "n"}, "logits": {0: "n"}},
        )  # fmt: skip
    model = onnx.load_from_string(buffer.getvalue())
    described = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in describe(plan, weights).items()
    }
    onnx.helper.set_model_props(model, described)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
