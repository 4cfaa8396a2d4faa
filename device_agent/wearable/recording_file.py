"""The file that a virtual wearable plays to itself (`firmware/port/host/host.h` has its layout)."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

_HEADER = struct.Struct("<4sIIIIffI")
VERSION = 1


def pack_recording(
    counts: npt.NDArray[np.int16],
    scale: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    sampling_rate_hz: float,
    period_s: float | None = None,
) -> bytes:
    """`counts` [windows, channels, samples]; a window ends every `period_s`, by default as long as it lasts."""
    windows, channels, samples = counts.shape
    period_s = samples / sampling_rate_hz if period_s is None else period_s
    head = _HEADER.pack(b"BTRC", VERSION, channels, samples, windows, period_s, sampling_rate_hz, 0)
    scales = scale.astype("<f4").tobytes()
    return head + b"".join(
        struct.pack("<i", label) + scales + window.astype("<i2").tobytes()
        for label, window in zip(labels.tolist(), counts, strict=True)
    )
