"""The emulated machine: QEMU's virt board with the image, its arguments, and a folder with its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from biotrain.riscv.image import EMULATOR, tool
from schemas.errors import UserError

CORES = (1, 2, 4, 8)
"""As many as a cluster may use; GAP9's has eight."""


def machine_words(
    image: Path, *, cores: int = 1, arguments: Mapping[str, int] | None = None, counting: bool = False
) -> list[str]:
    """QEMU's command line, without a serial line. To be run in the folder where the machine's files lie.

    `counting`: the instruction counter is exact, and the same in every run; time is then counted in instructions.
    """
    if cores not in CORES:
        raise UserError(f"{cores} cores: the RISC-V machine has {', '.join(map(str, CORES))}")
    words = [
        tool(EMULATOR), "-machine", "virt", "-cpu", "rv32,d=off", "-m", "16M", "-smp", str(cores), "-bios", "none",
        "-kernel", str(image), "-nodefaults", "-display", "none",
    ]  # fmt: skip
    given = {"cores": cores, **(arguments or {})}
    semihosting = "".join(f",arg={name}={value}" for name, value in given.items())
    words += ["-semihosting-config", f"enable=on,target=native,arg=biotrain{semihosting}"]
    return [*words, "-icount", "shift=0,sleep=off"] if counting else words
