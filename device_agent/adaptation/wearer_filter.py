"""The wearer's own spatial filter, in the weights that the wearable runs with: Euclidean alignment on the device.

A plan of a network behind alignment has a parameter for it, which no fit changes. It is made here, from windows without
their labels, as the training people's were from theirs; windows are prepared as the plan itself prepares them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from device_agent.adaptation.alignment import MeanCovariance
from device_agent.preprocessing.in_plan import read_preprocessing
from device_agent.sources.window import Window
from schemas.plan import PlanError, read_plan
from schemas.weights import Origin, Weights, read_weights

FILTERS = "alignment.weight"
"""The plan's parameter, as `device_agent.models.aligned` names it (which an agent does not import: it needs torch)."""
LEAST = 8
"""Windows below which a mean covariance says too little of anybody."""


def is_aligned(plan: bytes) -> bool:
    """Does its network expect windows that are aligned to their wearer?"""
    try:
        return any(parameter["name"] == FILTERS for parameter in read_plan(plan).names["parameters"])
    except PlanError:
        return False  # it is the wearable that decides what it runs


def aligned_weights(plan: bytes, weights: bytes, windows: Iterable[Window]) -> bytes | None:
    """A weights file with the filters of whoever wore the device in `windows`; everything else as in `weights`.

    None for a plan without filters, and for too few windows, or flat ones.
    """
    found = read_plan(plan)
    place = next((p for p in found.names["parameters"] if p["name"] == FILTERS), None)
    if place is None:
        return None
    preprocessing = read_preprocessing(plan)
    known = MeanCovariance(place["shape"][0])
    for window in windows:
        known.add(preprocessing.apply(window.values))
    if known.windows < LEAST:
        return None
    try:
        filters = np.ascontiguousarray(known.filters(), "<f4").tobytes()
    except ValueError:
        return None
    before = read_weights(weights, found.hash)
    values = bytearray(before.values)
    values[place["offset"] : place["offset"] + len(filters)] = filters
    after = Weights(
        found.hash,
        before.version + 1,
        bytes(values),
        Origin.ADAPTED,
        parent_hash=before.hash,
        device_id=before.device_id,
    )
    return after.pack()
