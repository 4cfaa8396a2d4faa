"""What is done to the ADC's window before the model sees it: on the device, and in the same order in pre-training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Steps in this order; those that are None are left out. All are causal and start at rest with each window."""

    matrix: Floats | None = None
    """[channels out, channels in]: channel order, derivations, re-referencing."""
    sections: Floats | None = None
    """[s, 5] second-order sections b0 b1 b2 a1 a2 (scipy's `sos` without the column of ones)."""
    log_floor: float | None = None
    """Take log(max(x, log_floor)): for envelopes, whose changes from day to day are factors. In the source's unit."""
    centre: bool = False
    """Subtract each channel's mean over the window."""
    offset: Floats | None = None
    """[channels], subtracted; with `gain`, [channels], multiplied afterwards."""
    gain: Floats | None = None

    def apply(self, values: Floats) -> Floats:
        """The same in NumPy, float64 inside: [..., channels, samples] of the source's unit -> model input."""
        x = values.astype(np.float64)
        if self.matrix is not None:
            x = np.einsum("oc,...ct->...ot", self.matrix.astype(np.float64), x)
        for b0, b1, b2, a1, a2 in [] if self.sections is None else self.sections.astype(np.float64):
            z1 = np.zeros(x.shape[:-1])
            z2 = np.zeros(x.shape[:-1])
            for t in range(x.shape[-1]):
                given = x[..., t].copy()
                x[..., t] = b0 * given + z1
                z1 = b1 * given - a1 * x[..., t] + z2
                z2 = b2 * given - a2 * x[..., t]
        if self.log_floor is not None:
            x = np.log(np.maximum(x, np.float32(self.log_floor)))
        if self.centre:
            x = x - x.mean(axis=-1, keepdims=True)
        if self.offset is not None and self.gain is not None:
            x = (x - self.offset.astype(np.float64)[:, None]) * self.gain.astype(np.float64)[:, None]
        return x.astype(np.float32)
