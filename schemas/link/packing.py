"""How numbers and texts of the link are packed: little-endian, texts behind a byte with their length."""

from __future__ import annotations

import struct
from typing import Any


class MessageError(ValueError):
    """A payload that is not what its frame says."""


def unpack(layout: struct.Struct, data: bytes, what: str) -> tuple[Any, ...]:
    """The fields at the beginning of `data`. Raises MessageError where it is too short; `what` names it."""
    if len(data) < layout.size:
        raise MessageError(f"{what}: {len(data)} bytes, expected {layout.size}")
    return layout.unpack_from(data)


def read_text(data: bytes, at: int) -> tuple[str, int]:
    """The text at `at`, and where the next field begins. Raises MessageError where it is cut."""
    end = at + 1 + (data[at] if at < len(data) else 0)
    if end > len(data):
        raise MessageError("a text reaches over the end")
    return data[at + 1 : end].decode("utf-8", "replace"), end


def pack_text(text: str) -> bytes:
    """u8 length, then the characters. Raises MessageError."""
    encoded = text.encode()
    if len(encoded) > 255 or b"\0" in encoded:
        raise MessageError(f"{text!r} is no name: at most 255 bytes, none of them zero")
    return bytes([len(encoded)]) + encoded


def signed(value: int) -> int:
    """An i32 that was read as u32."""
    return value - (1 << 32) if value >> 31 else value
