"""A program of a few lines on the port's board, without the app."""

from __future__ import annotations

import subprocess
from pathlib import Path

from biotrain.riscv.image import COMPILER
from biotrain.riscv.machine import machine_words

BOARD = ("start.S", "semihosting.c", "memory.c", "cores.c", "watchdog.c", "string.c")
HEAD = '#include <string.h>\n#include "riscv.h"\n#include "semihosting.h"\n#include "board.h"\nint main(void);\n'


def run_bare(folder: Path, repository: Path, program: str, cores: int = 1) -> subprocess.CompletedProcess[str]:
    """`program` defines `int main(void)`."""
    firmware = repository / "device_agent" / "firmware"
    port = firmware / "port" / "riscv"
    source, elf = folder / "bare.c", folder / "bare.elf"
    source.write_text(HEAD + program)
    subprocess.run(
        [COMPILER, "-march=rv32imafc", "-mabi=ilp32f", "--specs=picolibc.specs", "-O2", "-nostartfiles",
         "-fno-tree-loop-distribute-patterns",
         "-I", firmware / "include", "-I", port, "-T", port / "memory.ld", *(port / name for name in BOARD), source,
         "-o", elf], check=True, capture_output=True, text=True,
    )  # fmt: skip
    words = machine_words(elf, cores=cores)
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=20, check=False)
