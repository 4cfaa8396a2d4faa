"""A model that can be tuned and asked: on the device's engine, or in torch, with the same two calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from biotrain.evaluate.settings import Tuning
from device_agent.engine.engine import Engine
from device_agent.preprocessing.steps import Preprocessing
from device_agent.sources.recording import Recording
from schemas.plan import read_plan

Values = Mapping[str, npt.NDArray[np.float32]]
"""Weights by parameter name."""


Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Of logits [windows, classes] and labels [windows]."""


class Tuned(Protocol):
    """Holds weights; both calls see recordings in the source's unit."""

    def tune(self, recording: Recording, tuning: Tuning, seed: int) -> None: ...

    def predict(self, recording: Recording) -> list[int]: ...

    def values(self) -> Values: ...

    def close(self) -> None: ...


def pack_values(plan: bytes, values: Values) -> bytes:
    """A plan's weights region: every parameter at the place that the plan gives it."""
    found = read_plan(plan)
    parameters = found.names["parameters"]
    out = bytearray(sum(4 * int(np.prod(p["shape"])) for p in parameters))
    for parameter in parameters:
        raw = values[parameter["name"]].astype("<f4").tobytes()
        out[parameter["offset"] : parameter["offset"] + len(raw)] = raw
    return bytes(out)


def unpack_values(plan: bytes, region: bytes) -> dict[str, npt.NDArray[np.float32]]:
    """The reverse of `pack_values`."""
    out = {}
    for parameter in read_plan(plan).names["parameters"]:
        size, at = int(np.prod(parameter["shape"])), parameter["offset"]
        flat = np.frombuffer(region, "<f4", size, at)
        out[parameter["name"]] = flat.reshape(parameter["shape"]).astype(np.float32)
    return out


def orders(count: int, epochs: int, seed: int) -> list[npt.NDArray[np.int64]]:
    """The order of the windows in each epoch: the same for every engine."""
    random = np.random.default_rng([20_262, seed])
    return [random.permutation(count) for _ in range(epochs)]


class OnDevice:
    """The firmware's engine: micro-batches of one window, accumulated."""

    def __init__(self, plan: bytes, values: Values) -> None:
        self._plan = plan
        self.engine = Engine(plan)
        self.engine.set_values(pack_values(plan, values))

    def tune(self, recording: Recording, tuning: Tuning, seed: int) -> None:
        engine, size = self.engine, tuning.batch_size
        step, steps = 0, tuning.epochs * -(-len(recording) // size)
        engine.begin_fit(seed)
        for order in orders(len(recording), tuning.epochs, seed):
            for first in range(0, len(order), size):
                for trial in order[first : first + size]:
                    engine.fit_sample(recording.counts[trial], recording.scale, int(recording.labels[trial]))
                rate = engine.cosine_rate(tuning.learning_rate, step, steps)
                engine.fit_step(rate, tuning.momentum, tuning.weight_decay)
                step += 1
        engine.promote()

    def predict(self, recording: Recording) -> list[int]:
        return [self.engine.infer(counts, recording.scale)[0] for counts in recording.counts]

    def values(self) -> Values:
        return unpack_values(self._plan, self.engine.values())

    def close(self) -> None:
        self.engine.close()


class InTorch:
    """The same protocol in torch, float32, one thread; what is trained is what the plan says."""

    def __init__(self, plan: bytes, values: Values, module: nn.Module, preprocessing: Preprocessing) -> None:
        self._module, self._preprocessing = module, preprocessing
        trained = {p["name"] for p in read_plan(plan).names["parameters"] if p["trained"]}
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                parameter.copy_(torch.from_numpy(np.array(values[name], np.float32)).reshape(parameter.shape))
                parameter.requires_grad_(name in trained)

    def tune(self, recording: Recording, tuning: Tuning, seed: int) -> None:
        self.descend(recording, tuning, seed, nn.functional.cross_entropy)

    def descend(self, recording: Recording, tuning: Tuning, seed: int, loss: Loss) -> None:
        """`tune` by another loss than that of the device."""
        module, size = self._module, tuning.batch_size
        parameters = [p for p in module.parameters() if p.requires_grad]
        optimizer = torch.optim.SGD(
            parameters, lr=tuning.learning_rate, momentum=tuning.momentum, weight_decay=tuning.weight_decay
        )
        steps = tuning.epochs * -(-len(recording) // size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        x, y = self._inputs(recording), torch.from_numpy(recording.labels)
        torch.manual_seed(seed)  # of dropout
        module.train()
        for order in orders(len(recording), tuning.epochs, seed):
            for batch in torch.from_numpy(order).split(size):
                optimizer.zero_grad(set_to_none=True)
                loss(module(x[batch]), y[batch]).backward()
                optimizer.step()
                schedule.step()
        module.eval()

    @torch.no_grad()
    def predict(self, recording: Recording) -> list[int]:
        self._module.eval()
        return [int(label) for label in self._module(self._inputs(recording)).argmax(1)]

    def values(self) -> Values:
        return {name: parameter.detach().numpy().copy() for name, parameter in self._module.named_parameters()}

    def close(self) -> None:
        pass

    def _inputs(self, recording: Recording) -> torch.Tensor:
        return torch.from_numpy(self._preprocessing.apply(recording.values)).unsqueeze(1)
