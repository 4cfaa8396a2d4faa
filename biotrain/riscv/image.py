"""The images, built when they are asked for and kept until their sources change."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import device_agent
from biotrain.files import default_cache
from schemas.errors import UserError

WEARABLE_IMAGE, TRAINING_IMAGE = "biotrain-wearable.elf", "biotrain-training.elf"
COMPILER, EMULATOR = "riscv64-unknown-elf-gcc", "qemu-system-riscv32"
_PACKAGES = "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf qemu-system-misc"
_SOURCES = (
    "build.cmake",
    "include/**/*",
    "runtime/**/*",
    "protocol/*",
    "app/*",
    "trust/*",
    "port/*.[ch]",
    "port/riscv/*",
)


def image(name: str) -> Path:
    """The path of a built image. Raises UserError when it cannot be built here."""
    firmware = _firmware()
    compiler = tool(COMPILER)
    folder = default_cache() / "riscv" / _digest(firmware, compiler)
    if not (folder / name).is_file():
        _build(firmware, folder)
    return folder / name


def tool(name: str) -> str:
    """The path of a program. Raises UserError with what to install when it is missing."""
    found = _find(name)
    if found is None:
        raise UserError(f"{name} was not found: the RISC-V port needs it; on Debian: apt-get install {_PACKAGES} cmake")
    return found


def _find(name: str) -> str | None:
    """On the path, or where `make setup` puts what the system lacks."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def _firmware() -> Path:
    for folder in device_agent.__path__:
        if (Path(folder) / "firmware" / "port" / "riscv" / "CMakeLists.txt").is_file():
            return Path(folder).resolve() / "firmware"
    raise UserError(
        "the RISC-V image is built from the firmware's sources, which an installed wheel does not carry: "
        "run it from a clone of the repository, after `make setup`"
    )


def _files(firmware: Path) -> Iterator[Path]:
    for pattern in _SOURCES:
        yield from sorted(path for path in firmware.glob(pattern) if path.is_file())


def _digest(firmware: Path, compiler: str) -> str:
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
    digest = hashlib.sha256(version.encode())
    for path in _files(firmware):
        digest.update(path.relative_to(firmware).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:24]


def _build(firmware: Path, folder: Path) -> None:
    """Beside its place, then moved into it: two who build at once do not meet."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        build, made = Path(temporary) / "build", Path(temporary) / "made"
        made.mkdir()
        ninja = _find("ninja")
        generator = ("-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}") if ninja else ()
        _run(tool("cmake"), "-S", str(firmware / "port" / "riscv"), "-B", str(build), *generator)
        _run(tool("cmake"), "--build", str(build), "--parallel", str(os.cpu_count() or 1))
        for path in build.glob("*.elf"):
            path.replace(made / path.name)
        try:
            made.replace(folder)
        except OSError:
            if not folder.is_dir():  # somebody else was first: theirs are the same
                raise


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise UserError(f"the RISC-V image could not be built; `{' '.join(words)}` said:\n{last}")
