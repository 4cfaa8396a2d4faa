"""torch.nn.Module -> Graph, through torch.export. The only pass that knows torch."""

from __future__ import annotations

import contextlib
import io
import logging
import operator
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from device_agent.compiler.errors import CompileError
from device_agent.compiler.hints import nearest
from device_agent.compiler.ir import Graph, Op, Parameter, Value
from device_agent.compiler.operators import CAPTURES
from device_agent.compiler.operators.base import Call
from schemas.plan import Region

#: What a call in the user's module becomes: one value, or several.
Captured = Value | list[Value]
#: Counts batches; nothing that is computed depends on it.
_IGNORED = ("num_batches_tracked",)


def capture(module: nn.Module, input_shape: tuple[int, ...]) -> Graph:
    """`input_shape` without the batch dimension, e.g. (1, channels, samples).

    Raises CompileError for an operator that is not there, with its place in the user's module.
    """
    tensors = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    state = dict(tensors)
    for held, tensor in tensors:
        if tensor.dtype != torch.float32 and not held.endswith(_IGNORED):
            raise CompileError(f"{held} is {tensor.dtype}: the device computes in float32; convert with .float()")
    _refuse_layers(module)
    try:
        with _quiet():
            exported = _export(module, input_shape)
    except Exception as error:  # torch.export raises dozens of kinds; all are the user's model
        raise CompileError(
            f"{type(module).__name__} cannot be exported for input {input_shape}: {_reason(error)}"
        ) from error
    signature = exported.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    ops: list[Op] = []
    parameters: list[Parameter] = []
    values: dict[str, Captured] = {}
    inputs: list[Value] = []
    output: Captured | None = None
    for node in exported.graph.nodes:
        if node.op == "placeholder":
            name = names.get(node.name)
            if node.name in signature.inputs_to_lifted_tensor_constants:
                raise CompileError(
                    f"{type(module).__name__} makes a tensor of its own in forward ({node.name}): "
                    "only its parameters and buffers can be used"
                )
            if name is None:
                inputs.append(Value.new("input", input_shape))
                values[node.name] = inputs[-1]
            elif not name.endswith(_IGNORED):
                values[node.name] = _parameter(name, state[name], parameters)
        elif node.op == "call_function" and not _is_without_effect(node):
            values[node.name] = _call(node, values, ops)
            if _works_in_place(node):  # whoever names the changed tensor from here on means the result
                values[node.args[0].name] = values[node.name]
        elif node.op == "output":
            result = [argument for argument in node.args[0] if argument.name in values]
            output = values[result[-1].name]
    if len(inputs) != 1 or not isinstance(output, Value) or len(output.shape) != 1:
        shape = output.shape if isinstance(output, Value) else None
        raise CompileError(f"the model must map one input to one row of logits, its output has shape {shape}")
    linears = [op for op in ops if op.kind == "linear_forward"]
    features = linears[-1].operand("x") if linears and linears[-1].operand("y") is output else None
    return Graph(ops, inputs[0], output, parameters, features)


def _export(module: nn.Module, input_shape: tuple[int, ...]) -> Any:
    """With one window; with two where batch norm over features alone cannot see a single one."""
    try:
        return torch.export.export(module.train(), (torch.zeros(1, *input_shape),))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        return torch.export.export(module, (torch.zeros(2, *input_shape),))


def _refuse_layers(module: nn.Module) -> None:
    """What torch.export would refuse in words that help nobody."""
    for name, child in module.named_modules():
        if isinstance(child, nn.RNNBase):
            raise CompileError(f"{name}: {type(child).__name__} is not supported{nearest(type(child).__name__, ())}")
        if isinstance(child, nn.modules.batchnorm._BatchNorm) and child.momentum is None:
            raise CompileError(
                f"{name}: batch norm with momentum=None, a cumulative average, is not supported: give one"
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """torch logs and prints pages about what it then raises; the message of the error is enough."""
    logger = logging.getLogger("torch")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(before)


def _reason(error: Exception) -> str:
    """The first line that tells something; shapes and branches that depend on the data get words of their own."""
    text = str(error).strip()
    own = [place for place in re.findall(r'File "([^"]+)", line (\d+)', text) if "/torch/" not in place[0]]
    where = f" ({own[-1][0].rsplit('/', 1)[-1]}:{own[-1][1]})" if own else ""
    if "data-dependent" in text or "DataDependent" in type(error).__name__:
        return f"a branch or a shape depends on the data{where}; every window must take the same path"
    return (text.splitlines()[0] if text else type(error).__name__) + where


def _parameter(name: str, tensor: torch.Tensor, parameters: list[Parameter]) -> Value:
    value = Value.new(name, tuple(tensor.shape) or (1,), Region.WEIGHTS)
    parameters.append(Parameter(name, value, trained=isinstance(tensor, nn.Parameter) and tensor.requires_grad))
    return value


def _is_without_effect(node: Any) -> bool:
    """num_batches_tracked += 1, and results that nobody uses."""
    counts = any(getattr(argument, "name", "").endswith(_IGNORED) for argument in node.args)
    return counts or not (node.users or _works_in_place(node))


def _works_in_place(node: Any) -> bool:
    """relu_, add_, ..."""
    return str(node.target).rpartition(".")[0].endswith("_")


def _call(node: Any, values: dict[str, Captured], ops: list[Op]) -> Captured:
    if node.target is operator.getitem:
        return _item(node, values)
    target, layer, location = str(node.target), _layer(node), _location(node)
    rule = CAPTURES.get(target)
    if rule is None:
        where = f"{layer or node.name}{location and f' ({location})'}"
        raise CompileError(f"{where}: {target} is not supported{nearest(target, CAPTURES)}")
    names = [argument.name for argument in node.target._schema.arguments]
    given = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    arguments = {key: _argument(value, values) for key, value in given.items()}
    results = node.meta["val"]
    shapes = [
        tuple(int(size) for size in v.shape[1:]) for v in (results if type(results) in (list, tuple) else [results])
    ]
    return rule(Call(target, arguments, shapes[0], layer, location, ops.append, tuple(shapes)))


def _item(node: Any, values: dict[str, Captured]) -> Value:
    """One of an operator's results; operators with results that are not computed (indices) return the first alone."""
    source, index = values[node.args[0].name], node.args[1]
    if isinstance(source, list):
        return source[index]
    if index:
        raise CompileError(f"{_layer(node)} ({_location(node)}): only the first result of {node.args[0]} is computed")
    return source


def _argument(given: Any, values: dict[str, Captured]) -> Any:
    if isinstance(given, list | tuple):
        return [_argument(item, values) for item in given]
    return values.get(given.name) if hasattr(given, "name") else given


def _layer(node: Any) -> str:
    """The innermost module that the call stands in, by its path in the model."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values() if path]
    return paths[-1] if paths else str(node.name)


def _location(node: Any) -> str:
    """The user's file and line, from the trace that torch.export keeps."""
    frames = [
        line.strip() for line in (node.meta.get("stack_trace") or "").splitlines() if line.strip().startswith("File")
    ]
    own = [frame for frame in frames if "/torch/" not in frame]
    if not own:
        return ""
    file, line, *_ = own[-1].replace('File "', "").split('", line ')
    return f"{file.rsplit('/', 1)[-1]}:{line.split(',')[0]}"
