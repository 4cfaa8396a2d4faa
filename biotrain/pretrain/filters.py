"""A data set's filters as what a plan holds: causal second-order sections, and a matrix over channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from device_agent.sources.dataset import Filter
from schemas.errors import UserError

Floats = npt.NDArray[np.float32]


def design(filters: Sequence[Filter], sampling_rate_hz: float) -> Floats:
    """Sections [s, 5] b0 b1 b2 a1 a2 of all filters, one after another. Raises UserError."""
    try:
        from scipy import signal
    except ModuleNotFoundError:
        raise UserError(
            "filters are designed with scipy, which is not installed: pip install 'biotrain[torch]'"
        ) from None

    nyquist_hz = sampling_rate_hz / 2
    sections: list[npt.NDArray[np.float64]] = []
    for chosen in filters:
        corners = [hz for hz in (chosen.low_hz, chosen.high_hz) if hz is not None]
        if max(corners) >= nyquist_hz:
            raise UserError(
                f"a {chosen.kind} filter at {max(corners):g} Hz: "
                f"a signal sampled at {sampling_rate_hz:g} Hz ends at {nyquist_hz:g} Hz"
            )
        if chosen.kind == "notch":
            found = signal.tf2sos(*signal.iirnotch(corners[0], chosen.quality, fs=sampling_rate_hz))
        else:
            found = signal.butter(
                chosen.order,
                corners if len(corners) > 1 else corners[0],
                chosen.kind,
                output="sos",
                fs=sampling_rate_hz,
            )
        sections.append(np.delete(found, 3, axis=1))  # a0 is 1
    return np.concatenate(sections).astype(np.float32)


def average_reference(channels: int) -> Floats:
    """[channels, channels]: each less the mean of all."""
    return (np.eye(channels) - 1.0 / channels).astype(np.float32)
