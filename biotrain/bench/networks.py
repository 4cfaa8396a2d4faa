"""A network of the zoo, compiled, with windows to train it on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from schemas.errors import UserError

if TYPE_CHECKING:
    from device_agent.compiler.ir import Program

SCALE = 1e-3


@dataclass(frozen=True, slots=True)
class Network:
    """`counts` int16 [windows, channels, samples], value = count * scale[channel]."""

    model: str
    plan: bytes
    weights: bytes
    counts: npt.NDArray[np.int16]
    scale: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    programs: tuple[tuple[Program, float], ...] = ()
    """Of a training window, as the compiler has them."""

    @property
    def inputs(self) -> npt.NDArray[np.float32]:
        """What the network sees: float32 [windows, 1, channels, samples]."""
        return (self.counts.astype(np.float32) * self.scale[:, None])[:, None]


def compile_network(model: str, batch: int) -> Network:
    """Group norm, the whole network trained, noise for windows. Raises UserError for a name that is not in the zoo."""
    import torch

    from device_agent.compiler.compile import Signal, compile_model
    from device_agent.compiler.normalise import Norm
    from device_agent.models import SIZES, build_model
    from device_agent.models.norms import with_group_norm

    if model not in SIZES:
        raise UserError(f"there is no model {model!r}: choose one of {', '.join(SIZES)}")
    size = SIZES[model]
    torch.manual_seed(0)
    module = with_group_norm(build_model(model))
    signal = Signal(
        tuple(f"channel{n + 1}" for n in range(size.channels)),
        size.samples,
        size.sampling_rate_hz,
        tuple(f"class{n}" for n in range(size.classes)),
    )
    plan = compile_model(module, signal, name=model, norm=Norm.GROUP, batch=batch)
    rng = np.random.default_rng(0)
    counts = rng.integers(-2000, 2000, (batch, size.channels, size.samples)).astype(np.int16)
    labels = rng.integers(0, size.classes, batch)
    return Network(
        model, plan.file, plan.weights_file(module), counts, np.full(size.channels, SCALE, np.float32), labels,
        plan.programs,
    )  # fmt: skip
