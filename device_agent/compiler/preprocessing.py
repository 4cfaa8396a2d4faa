"""From the ADC's window to the model's input: the steps of `device_agent.preprocessing`, as the plan's code."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from device_agent.compiler.errors import CompileError
from device_agent.compiler.ir import Op, Program, Value
from device_agent.preprocessing.steps import Floats, Preprocessing
from schemas.plan import Region


@dataclass(slots=True)
class Constants:
    """Read-only values of a plan, one after another."""

    bytes: bytearray = field(default_factory=bytearray)

    def add(self, name: str, values: Floats) -> Value:
        offset = len(self.bytes)
        self.bytes += np.ascontiguousarray(values, np.float32).tobytes()
        return Value.new(name, values.shape, Region.CONST, offset)


def preprocess(steps: Preprocessing, channels: int, samples: int, target: Value, constants: Constants) -> Program:
    """The program that fills `target` (the model's input). Raises CompileError where shapes do not fit."""
    model_channels = target.shape[-2] if len(target.shape) > 1 else 1
    if int(np.prod(target.shape)) != model_channels * samples:
        raise CompileError(f"the model takes {target.shape}, a window has {samples} samples")
    final = target.reshaped("preprocessed", (model_channels, samples))
    _check(steps, channels, model_channels)
    raw = final if steps.matrix is None else Value.new("raw", (channels, samples))
    ops = [Op("decode_counts", (raw,), {}, "preprocessing")]
    if steps.matrix is not None:
        ops.append(Op("mix_channels", (raw, constants.add("matrix", steps.matrix), final), {}, "preprocessing"))
    if steps.sections is not None:
        sections = constants.add("sections", steps.sections)
        ops.append(Op("filter_sections", (final, sections, final), {}, "preprocessing"))
    if steps.log_floor is not None:
        bounds = {"low": steps.log_floor, "high": float(np.finfo(np.float32).max)}
        ops.append(Op("clamp_forward", (final, final), bounds, "preprocessing"))
        ops.append(Op("log_forward", (final, final), {}, "preprocessing"))
    if steps.centre:
        ops.append(Op("centre_channels", (final, final), {}, "preprocessing"))
    if steps.offset is not None and steps.gain is not None:
        values = constants.add("offset", steps.offset), constants.add("gain", steps.gain)
        ops.append(Op("scale_channels", (final, *values, final), {}, "preprocessing"))
    return Program(ops, (target,))


def _check(steps: Preprocessing, channels: int, model_channels: int) -> None:
    def expect(name: str, values: Floats | None, shape: tuple[int, ...]) -> None:
        if values is not None and (values.shape != shape or not np.isfinite(values).all()):
            raise CompileError(f"preprocessing {name}: expected {shape} finite values, got shape {values.shape}")

    expect("matrix", steps.matrix, (model_channels, channels))
    expect("offset", steps.offset, (model_channels,))
    expect("gain", steps.gain, (model_channels,))
    if steps.sections is not None:
        expect("sections", steps.sections, (len(steps.sections), 5))
    if steps.log_floor is not None and not 0 < steps.log_floor < np.inf:
        raise CompileError(f"preprocessing log_floor: expected a positive number, got {steps.log_floor}")
    if (steps.offset is None) != (steps.gain is None):
        raise CompileError("preprocessing: offset and gain go together")
    if steps.matrix is None and channels != model_channels:
        raise CompileError(f"windows have {channels} channels, the model takes {model_channels}: give a matrix")
