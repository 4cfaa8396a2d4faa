"""The zoo: plain torch modules, each of the size that its users have. Importing this needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

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


#: Default sizes: the paper's EEG and EOG networks, EpiDeNet for short EMG windows; EEG networks at the size of
#: BCI competition IV 2a; a residual network for short EMG windows.
SIZES: dict[str, ModelSize] = {
    "mi-bminet": ModelSize(8, 1900, 2, 500.0),
    "epidenet": ModelSize(2, 1000, 11, 500.0),
    "epidenet-short": ModelSize(4, 200, 6, 100.0),
    "eegnet": ModelSize(22, 1125, 4, 250.0),
    "shallow-convnet": ModelSize(22, 1125, 4, 250.0),
    "deep-convnet": ModelSize(22, 1125, 4, 250.0),
    "eeg-tcnet": ModelSize(22, 1125, 4, 250.0),
    "resnet1d": ModelSize(4, 200, 6, 100.0),
}
#: File, class and settings of each.
_CLASSES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "mi-bminet": ("mi_bminet", "MIBMInet", {}),
    "epidenet": ("epidenet", "EpiDeNet", {"pools": (8, 4, 4)}),
    "epidenet-short": ("epidenet", "EpiDeNet", {"pools": (4, 2, 2)}),
    "eegnet": ("eegnet", "EEGNet", {}),
    "shallow-convnet": ("convnets", "ShallowConvNet", {}),
    "deep-convnet": ("convnets", "DeepConvNet", {}),
    "eeg-tcnet": ("eeg_tcnet", "EEGTCNet", {}),
    "resnet1d": ("resnet1d", "ResNet1d", {}),
}


def build_model(name: str, size: ModelSize | None = None) -> nn.Module:
    """A freshly initialised module with batch norm, in training mode. Raises UserError for a name not in SIZES."""
    if name not in SIZES:
        raise UserError(f"there is no model {name!r}: choose one of {', '.join(SIZES)}")
    size = size or SIZES[name]
    file, name_of_class, settings = _CLASSES[name]
    build = getattr(import_module(f"device_agent.models.{file}"), name_of_class)
    try:
        module: nn.Module = build(size.channels, size.samples, size.classes, **settings)
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{name} cannot take windows of {size.channels}x{size.samples}: {error}") from None
    return module
