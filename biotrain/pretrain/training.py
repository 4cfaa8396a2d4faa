"""The training loop: seeded, stopped at any time, continued to the very weights it would have had."""

from __future__ import annotations

import contextlib
import io
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from biotrain.files import write_whole
from biotrain.pretrain.settings import TrainingSettings
from schemas.errors import UserError


@dataclass(frozen=True, slots=True)
class Epoch:
    """How an epoch went; loss and accuracy are means over its windows, while it trained."""

    number: int
    loss: float
    accuracy: float


OnEpoch = Callable[[Epoch], None]


def train(
    module: nn.Module,
    inputs: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    settings: TrainingSettings,
    checkpoint: Path | None = None,
    on_epoch: OnEpoch = lambda epoch: None,
) -> list[Epoch]:
    """Train `module` on inputs [windows, channels, samples] in place; leaves it in evaluation mode.

    With `checkpoint`, the state after each epoch is kept there and a later call continues from it.
    """
    with _one_thread():
        return _train(module, inputs, labels, settings, checkpoint, on_epoch)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """These networks are too small for two: on a busy machine threads that wait for each other take 70 times as long.

    And the sums, and so the weights, do not depend on how many cores there are.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train(
    module: nn.Module,
    inputs: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    settings: TrainingSettings,
    checkpoint: Path | None,
    on_epoch: OnEpoch,
) -> list[Epoch]:
    torch.manual_seed(settings.seed)
    optimizer = torch.optim.AdamW(module.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    epochs = _continue(checkpoint, module, optimizer) if checkpoint else []
    for epoch in epochs:
        on_epoch(epoch)
    x, y = torch.from_numpy(inputs).unsqueeze(1), torch.from_numpy(labels)
    module.train()
    for number in range(len(epochs) + 1, settings.epochs + 1):
        epochs.append(_one_epoch(module, optimizer, x, y, settings, number))
        if checkpoint:
            _keep(checkpoint, module, optimizer, epochs)
        on_epoch(epochs[-1])
    module.eval()
    return epochs


def _one_epoch(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: torch.Tensor,
    y: torch.Tensor,
    settings: TrainingSettings,
    number: int,
) -> Epoch:
    # The order depends on seed and epoch alone, so that a continued run draws the same one.
    order = torch.from_numpy(np.random.default_rng([settings.seed, number]).permutation(len(y)))
    loss_sum, correct = 0.0, 0
    for batch in order.split(settings.batch_size):
        optimizer.zero_grad(set_to_none=True)
        logits = module(x[batch])
        loss = nn.functional.cross_entropy(logits, y[batch])
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(batch)
        correct += int((logits.argmax(1) == y[batch]).sum())
    return Epoch(number, loss_sum / len(y), correct / len(y))


def _keep(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, epochs: list[Epoch]) -> None:
    buffer = io.BytesIO()
    torch.save(
        {
            "module": module.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "epochs": [(epoch.number, epoch.loss, epoch.accuracy) for epoch in epochs],
        },
        buffer,
    )
    write_whole(path, buffer.getvalue())


def _continue(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> list[Epoch]:
    """The epochs that were already run; none when there is no checkpoint, or none that fits."""
    if not path.is_file():
        return []
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
        module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        return [Epoch(*epoch) for epoch in state["epochs"]]
    except (RuntimeError, KeyError, ValueError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(f"{path}: not a checkpoint of this training: delete it to begin anew ({error})") from error


@torch.no_grad()
def accuracy(module: nn.Module, inputs: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Share of windows that `module` gets right."""
    x, y = torch.from_numpy(inputs).unsqueeze(1), torch.from_numpy(labels)
    hits = sum(int((module(x[part]).argmax(1) == y[part]).sum()) for part in torch.arange(len(y)).split(512))
    return hits / len(y)
