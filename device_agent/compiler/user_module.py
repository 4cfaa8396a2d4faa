"""A user's own network: a class, a function or a module in a Python file of theirs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from device_agent.compiler.errors import CompileError


def load_module(file: Path, name: str) -> nn.Module:
    """The network that `name` in `file` is, or returns when it is called without arguments. Raises CompileError."""
    if not file.is_file():
        raise CompileError(f"there is no file {file}: give the model as FILE.py:NAME, or the name of one of the zoo")
    found = _find(file, name)
    try:
        module = found if isinstance(found, nn.Module) else found()
    except TypeError as error:
        raise CompileError(
            f"{name} of {file.name} cannot be made without arguments: {error}; "
            f"give its arguments defaults, or add a function that returns the module and name it instead"
        ) from None
    if not isinstance(module, nn.Module):
        raise CompileError(f"{name} of {file.name} gives a {type(module).__name__}, expected a torch.nn.Module")
    return module


def _find(file: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise CompileError(f"{file} cannot be imported: it must be a Python file (.py)")
    code = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(file.stem, code)
    sys.path.insert(0, str(file.parent.resolve()))  # its neighbours, as when it is run
    try:
        spec.loader.exec_module(code)
    except Exception as error:  # whatever the user's file raises is what they need to read
        raise CompileError(f"{file} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    if not hasattr(code, name):
        models = [key for key, value in vars(code).items() if isinstance(value, type) and issubclass(value, nn.Module)]
        raise CompileError(f"{file.name} has no {name}: it has {', '.join(models) or 'no torch modules'}")
    return getattr(code, name)


def input_and_classes(module: nn.Module, channels: int, samples: int) -> tuple[tuple[int, ...], int]:
    """The input shape that the module takes, (1, channels, samples) or (channels, samples), and its number of classes.

    Raises CompileError when it takes neither.
    """
    reasons = []
    for shape in ((1, channels, samples), (channels, samples)):
        try:
            with torch.no_grad():
                output = module.eval()(torch.zeros(2, *shape))
        except Exception as error:  # torch's modules raise several kinds for a shape that does not fit
            reasons.append(
                f"[N, {', '.join(map(str, shape))}]: {str(error).splitlines()[0] if str(error) else error!r}"
            )
            continue
        if not isinstance(output, torch.Tensor) or output.dim() != 2 or len(output) != 2:
            given = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
            raise CompileError(
                f"the model must give one row of logits for each window, for two windows it gave {given}"
            )
        return shape, int(output.shape[1])
    raise CompileError("the model takes neither input: " + "; nor ".join(reasons))
