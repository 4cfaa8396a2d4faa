"""The GAP9 port, as far as it can be shown without its SDK: it compiles against the project's declarations of it, gives
every function of a port, and keeps floating point off the core that has none."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from biotrain.riscv.image import COMPILER

#: Of the C library and the compiler's own.
LIBRARY = re.compile(r"(mem(cpy|set|move|cmp)|str(len|cmp|chr|ncat)|sqrtf|fmaf|__\w+)$")
#: What the fabric controller runs; clock.c, link.c and source.c have functions of both sides.
FABRIC = ("main", "ask", "link", "memory", "nor", "storage", "front_end_none")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def port(repository: Path) -> Path:
    if shutil.which(COMPILER) is None:
        pytest.skip(f"{COMPILER} is not installed: apt-get install gcc-riscv64-unknown-elf")
    return repository / "device_agent" / "firmware" / "port" / "gap9"


@pytest.fixture(scope="module")
def objects(port: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gap9")
    done = subprocess.run(["make", "-s", "-j2", "-C", port, "check", f"OUT={out}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "files compile for GAP9" in done.stdout
    return out


def names(objects: Path, kind: str) -> set[str]:
    """What the objects define (T) or want (U)."""
    tool, files = COMPILER.replace("gcc", "nm"), sorted(map(str, objects.rglob("*.o")))
    told = subprocess.run([tool, "-g", *files], capture_output=True, text=True, check=True).stdout
    return set(re.findall(rf"\b[{kind}] (\w+)$", told, re.MULTILINE))


def test_it_gives_every_function_of_a_port(port: Path, objects: Path) -> None:
    header = (port.parents[1] / "include" / "biotrain" / "port.h").read_text()
    wanted = set(re.findall(r"\b(bt_port_\w+)\(", header))
    assert len(wanted) > 15
    assert wanted <= names(objects, "T")


def test_it_wants_nothing_but_what_is_declared_of_the_sdk(port: Path, objects: Path) -> None:
    declared = set()
    for header in (port / "declarations").rglob("*.h"):
        declared |= set(re.findall(r"\b(pi_\w+|pmsis_\w+)\(", header.read_text()))
    wanted = names(objects, "U") - names(objects, "TDBR")
    assert {name for name in wanted if not LIBRARY.match(name)} <= declared
    assert declared <= wanted  # and nothing is declared that nobody uses


def test_the_core_without_floating_point_is_given_none(objects: Path) -> None:
    tool = COMPILER.replace("gcc", "objdump")
    for name in FABRIC:
        code = subprocess.run(
            [tool, "-d", objects / "port" / "gap9" / f"{name}.o"], capture_output=True, text=True, check=True
        ).stdout
        assert "Disassembly" in code
        assert not re.findall(r"\t(?:c\.)?(f[a-z]+\.[a-z.]+|flw|fsw|c\.flw|c\.fsw)\s", code), name
    kernels = objects / "runtime" / "kernels" / "linear.o"
    assert "fmadd.s" in subprocess.run([tool, "-d", kernels], capture_output=True, text=True, check=True).stdout


async def test_it_tells_the_same_build_as_every_other_port(port: Path) -> None:
    from device_agent.wearable.connect import connect

    said = subprocess.run(["make", "-s", "-C", port, "build"], capture_output=True, text=True, check=True).stdout
    wearable = await connect("local")
    try:
        assert wearable.info.build == said.strip()
    finally:
        await wearable.close()


def test_every_setting_is_told_in_the_page(port: Path) -> None:
    settings = re.findall(r"^\s+(BT_\w+) = |^#define (BT_\w+)", (port / "settings.h").read_text(), re.MULTILINE)
    page = (port / "README.md").read_text()
    missing = [name for pair in settings for name in pair if name and f"`{name}`" not in page]
    assert not missing
