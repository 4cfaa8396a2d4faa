"""Looks for samples of a signal in what was published."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import numpy.typing as npt

RUN = 6
"""So many samples of one channel in a row are no chance."""


def traces_of_samples(payload: bytes, counts: npt.NDArray[np.int16], scale: float) -> list[str]:
    """Why a payload is suspected of carrying samples of counts [windows, channels, samples]; nothing when it is not."""
    return [*_binary(payload, counts, scale), *_json(payload)]


def _binary(payload: bytes, counts: npt.NDArray[np.int16], scale: float) -> list[str]:
    """Runs from the middle of every channel of every window, in the encodings that come to mind."""
    found = []
    middle = counts.shape[2] // 2
    for window in counts[:, :, middle : middle + RUN]:
        for run in window:
            for kind in ("<i2", ">i2", "<f4", ">f4", "<f8"):
                values = run if kind.endswith("i2") else run * scale
                raw = values.astype(kind).tobytes()
                # base64 looks different at each of three alignments; its middle part does not depend on neighbours.
                texts = [base64.b64encode(b"\0" * shift + raw)[4:-4] for shift in range(3)]
                if raw in payload or any(text in payload for text in texts):
                    found.append(f"a run of samples as {kind}")
    return found


def _json(payload: bytes) -> list[str]:
    try:
        document = json.loads(payload)
    except ValueError:
        return ["the payload is no JSON"]
    return _lists(document)


def _lists(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [trace for value in node.values() for trace in _lists(value)]
    if isinstance(node, list):
        numbers = sum(isinstance(value, int | float) for value in node)
        own = [f"a list of {numbers} numbers"] if numbers >= RUN else []
        return own + [trace for value in node for trace in _lists(value)]
    if isinstance(node, str) and len(node) > 600:
        return [f"a text of {len(node)} characters"]
    return []
