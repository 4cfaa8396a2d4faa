"""What uploads hold besides plans and weights: windows, fits and evaluations."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class WindowBody:
    """An uploaded window."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<IiQ")
    id: int
    label: int
    """-1: none."""
    time_us: int
    """End of the window, the source's clock."""
    scale: bytes
    """float32 [channels]"""
    counts: bytes
    """int16 [channels, samples]"""

    def to_bytes(self) -> bytes:
        return self.LAYOUT.pack(self.id, self.label, self.time_us) + self.scale + self.counts


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Behind the windows of a fit, for firmware with `Capability.FIT_SETTINGS`."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<IIIffff")
    optimizer: int
    """Index in `OPTIMIZERS` that the plan must have; 0: any."""
    nesterov: bool
    warm_up: int
    beta_1: float
    beta_2: float
    epsilon: float
    clip_norm: float

    def to_bytes(self) -> bytes:
        return self.LAYOUT.pack(
            self.optimizer, self.nesterov, self.warm_up, self.beta_1, self.beta_2, self.epsilon, self.clip_norm
        )


@dataclass(frozen=True, slots=True)
class FitBody:
    """A fit: which windows of the ring, how many epochs, SGD's settings; `settings` has those of other optimisers."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<IIIIQfffI")
    fit_id: int
    epochs: int
    batch_size: int
    cosine: bool
    seed: int
    learning_rate: float
    momentum: float
    weight_decay: float
    window_ids: Sequence[int]
    settings: FitSettings | None = None

    def to_bytes(self) -> bytes:
        head = self.LAYOUT.pack(
            self.fit_id,
            self.epochs,
            self.batch_size,
            self.cosine,
            self.seed,
            self.learning_rate,
            self.momentum,
            self.weight_decay,
            len(self.window_ids),
        )
        tail = self.settings.to_bytes() if self.settings else b""
        return head + struct.pack(f"<{len(self.window_ids)}I", *self.window_ids) + tail


@dataclass(frozen=True, slots=True)
class EvaluationBody:
    """Asks how many of these windows of the ring the weights of a bank get right."""

    bank: int
    window_ids: Sequence[int]

    def to_bytes(self) -> bytes:
        return struct.pack(f"<II{len(self.window_ids)}I", self.bank, len(self.window_ids), *self.window_ids)
