"""Another plan for the same windows, made from one that is there: other name, other hash, same program."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from schemas.plan import read_plan
from schemas.weights import Weights, read_weights


def renamed(plan: bytes, model: str) -> bytes:
    changed = bytearray(plan)
    changed[32:64] = model.encode().ljust(32, b"\0")
    (signed,) = struct.unpack_from("<I", changed, 16)
    struct.pack_into("<I", changed, 12, zlib.crc32(changed[16:signed], zlib.crc32(changed[:12])))
    assert read_plan(bytes(changed)).header.model == model
    return bytes(changed)


def weights_for(plan: bytes, of: bytes, *, version: int = 1, noise: float = 0.0, seed: int = 1) -> bytes:
    """A weights file's values under another plan's name; with enough `noise` (standard deviation) they know nothing."""
    values = np.frombuffer(read_weights(of).values, "<f4")
    values = values + np.random.default_rng(seed).normal(0.0, noise, len(values)).astype("<f4") if noise else values
    return Weights(read_plan(plan).hash, version, values.astype("<f4").tobytes()).pack()
