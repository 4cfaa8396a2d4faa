"""The weights file: a 128-byte header that names its plan and its parent, then float32 values."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

from schemas.errors import UserError
from schemas.signature import SIGNATURE_BYTES, Signature, SignatureError, SignedKind, read_signature

MAGIC = b"BTWT"
VERSION = 1
HEADER_BYTES = 128
_HEADER = struct.Struct("<4sHHII32s32sII24s16s")


class WeightsError(UserError):
    """A weights file that cannot be used; the message says why and what to do."""


class Origin(IntEnum):
    """Where weights come from: the pre-training, or a fit on the device."""

    PRETRAINED = 0
    ADAPTED = 1


@dataclass(frozen=True, slots=True)
class Weights:
    """Values and lineage. `plan_hash` and `parent_hash` are 64 hex digits."""

    plan_hash: str
    version: int
    values: bytes
    """float32, little endian, in the order of the plan's parameters."""
    origin: Origin = Origin.PRETRAINED
    parent_hash: str = "0" * 64
    """SHA-256 of the parent's values; zeros where there is none."""
    device_id: str = ""
    code: bytes = bytes(16)
    """Of the device that keeps them, over all this: nobody else can make or check it."""
    signature: Signature | None = None
    """The site's, as it stands behind the file: nobody has checked it yet."""

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.values).hexdigest()

    def pack(self) -> bytes:
        def head(crc: int) -> bytes:
            return _HEADER.pack(
                MAGIC,
                VERSION,
                0,
                len(self.values),
                crc,
                bytes.fromhex(self.plan_hash),
                bytes.fromhex(self.parent_hash),
                self.version,
                self.origin,
                self.device_id.encode()[:23],
                self.code,
            )

        return head(zlib.crc32(head(0)[16:] + self.values)) + self.values


def read_weights(file: bytes, plan_hash: str | None = None) -> Weights:
    """Raises WeightsError when the file is no weights file, cut, altered, or not for the plan of `plan_hash`."""
    if len(file) < HEADER_BYTES or file[:4] != MAGIC:
        raise WeightsError("this is no weights file: it does not begin with BTWT")
    _, major, _, size, crc, plan, parent, version, origin, device, code = _HEADER.unpack_from(file)
    file, block = file[: HEADER_BYTES + size], file[HEADER_BYTES + size :]
    if major != VERSION:
        raise WeightsError(f"the weights have format version {major}, this biotrain reads {VERSION}")
    if len(file) != HEADER_BYTES + size or len(block) not in (0, SIGNATURE_BYTES):
        found = len(file) + len(block)
        raise WeightsError(f"the weights are cut or padded: expected {HEADER_BYTES + size} bytes, got {found}")
    if zlib.crc32(file[16:]) != crc:
        raise WeightsError("the weights have been altered: their checksum does not match; transfer them again")
    try:
        signature = read_signature(block, SignedKind.WEIGHTS) if block else None
    except SignatureError as error:
        raise WeightsError(f"the weights: {error}") from None
    weights = Weights(
        plan.hex(),
        version,
        file[HEADER_BYTES:],
        Origin(origin),
        parent.hex(),
        device.rstrip(b"\0").decode(),
        code,
        signature,
    )
    if plan_hash is not None and weights.plan_hash != plan_hash:
        raise WeightsError(
            f"these weights belong to plan {weights.plan_hash[:12]}, not to {plan_hash[:12]}: "
            "use the weights that were written together with the plan"
        )
    return weights
