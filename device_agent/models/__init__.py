"""The zoo: plain torch modules, each of the size that its users have. Importing this needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.errors import UserError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class ModelSize:
    """Shape of the input windows and number of classes."""

    channels: int
    samples: int
    classes: int
    sampling_rate_hz: float


#: Default sizes: the paper's EEG and EOG networks, and EpiDeNet for short EMG windows.
SIZES: dict[str, ModelSize] = {
    "mi-bminet": ModelSize(8, 1900, 2, 500.0),
    "epidenet": ModelSize(2, 1000, 11, 500.0),
    "epidenet-short": ModelSize(4, 200, 6, 100.0),
}


def build_model(name: str, size: ModelSize | None = None) -> nn.Module:
    """A freshly initialised module with batch norm, in training mode. Raises UserError for a name not in SIZES."""
    if name not in SIZES:
        raise UserError(f"there is no model {name!r}: choose one of {', '.join(SIZES)}")
    size = size or SIZES[name]
    from device_agent.models.epidenet import EpiDeNet
    from device_agent.models.mi_bminet import MIBMInet

    if name == "mi-bminet":
        return MIBMInet(size.channels, size.samples, size.classes)
    pools = (8, 4, 4) if name == "epidenet" else (4, 2, 2)
    try:
        return EpiDeNet(size.channels, size.samples, size.classes, pools=pools)
    except ValueError as error:
        raise UserError(str(error)) from None
