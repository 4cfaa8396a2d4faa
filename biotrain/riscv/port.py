"""What the wearable's C can be run on here."""

from __future__ import annotations

from enum import StrEnum


class Port(StrEnum):
    """Where the wearable's firmware runs."""

    HOST = "host"
    """This computer's processor."""
    RISCV = "riscv"
    """A bare-metal RV32IMAFC machine, emulated by QEMU."""
