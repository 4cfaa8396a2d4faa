import re
import subprocess

import pytest

from biotrain.riscv import image as image_module
from biotrain.riscv.image import COMPILER, WEARABLE_IMAGE, image
from biotrain.riscv.wearable import STORAGE_BYTES
from schemas.errors import UserError

#: Code with constants: 96 KiB, and a line of its own for signatures and the device's own code; and what lies in L2
#: beside the engine's: stack, the port's own data, what a reset leaves.
MOST_CODE_BYTES, MOST_TRUST_BYTES, MOST_STATIC_BYTES = 98_304, 8_192, 28_000
#: GAP9's, with KB and MB as powers of ten.
LEVELS = {"l1": 128_000, "l2": 1_500_000, "l3": 8_000_000}

pytestmark = pytest.mark.slow


def binutil(name: str, *words: object) -> str:
    tool = COMPILER.replace("gcc", name)
    return subprocess.run([tool, *map(str, words)], capture_output=True, text=True, check=True).stdout


def symbols(elf) -> dict[str, int]:
    rows = (line.split() for line in binutil("nm", elf).splitlines())
    return {row[2]: int(row[0], 16) for row in rows if len(row) == 3}


def bytes_of_trust(elf, firmware) -> int:
    """Of all functions and constants of trust/ and app/trust.c, as the linker has left them."""
    files = {path.name for path in (*(firmware / "trust").glob("*.c"), firmware / "app" / "trust.c")}
    names = "sha512|code|field|ed25519|key_id|key_set|signature|trust"
    total, file = 0, ""
    for row in (line.split() for line in binutil("readelf", "-sW", elf).splitlines()):
        if len(row) < 8 or not row[0][:-1].isdigit():
            continue
        size, kind, binding, name = int(row[2], 0), row[3], row[4], row[7]
        if kind == "FILE":
            file = name  # local symbols stand behind their file's
        elif kind in ("FUNC", "OBJECT"):
            own = file in files if binding == "LOCAL" else re.match(rf"bt_({names})(_|$)", name) is not None
            total += size * own
    return total


def test_the_wearables_code_is_small(wearable_image, repository):
    whole, data = (int(word) for word in binutil("size", wearable_image).splitlines()[1].split()[:2])
    trust = bytes_of_trust(wearable_image, repository / "device_agent" / "firmware")
    code = whole - trust
    at = symbols(wearable_image)
    static = at["__l2_free"] - at["__l2_start"]
    print(f"signatures and codes: {trust} bytes")
    print(f"code and constants: {code} bytes; static data and stack in L2: {static} bytes; stacks in L1: {7 * 4096}")
    assert code <= MOST_CODE_BYTES
    assert 4_000 < trust <= MOST_TRUST_BYTES
    assert data == 0  # nothing has to be copied at start
    assert static <= MOST_STATIC_BYTES
    assert at["__l1_free"] - at["__worker_stacks"] == 7 * 4096


def test_its_sizes_stand_in_the_documentation(wearable_image, repository):
    """Within a twentieth: they change with every kernel."""
    page = (repository / "docs" / "measured.md").read_text()
    told = re.search(r"code and constants: ([\d,]+) bytes; static data and stack in L2: ([\d,]+) bytes", page)
    assert told is not None
    code, static = (int(number.replace(",", "")) for number in told.groups())
    at = symbols(wearable_image)
    trust = bytes_of_trust(wearable_image, repository / "device_agent" / "firmware")
    whole = int(binutil("size", wearable_image).splitlines()[1].split()[0])
    assert code == pytest.approx(whole - trust, rel=0.05)
    told = re.search(r"signatures and codes: ([\d,]+) bytes", page)
    assert told is not None
    assert int(told[1].replace(",", "")) == pytest.approx(trust, rel=0.05)
    assert static == pytest.approx(at["__l2_free"] - at["__l2_start"], rel=0.05)


def test_nothing_can_allocate(wearable_image, training_image):
    for elf in (wearable_image, training_image):
        names = set(symbols(elf))
        assert "bt_execute" in names
        assert not names & {"malloc", "free", "calloc", "realloc", "sbrk", "_sbrk", "_malloc_r", "_sbrk_r"}


def test_the_memory_levels_have_gap9s_sizes(wearable_image):
    at = symbols(wearable_image)
    starts = {"l1": at["__worker_stacks"], "l2": at["__l2_start"], "l3": at["__l3_free"]}
    assert {level: at[f"__{level}_end"] - start for level, start in starts.items()} == LEVELS
    # what is left for the engine after stacks and the port's own data
    assert at["__l1_end"] - at["__l1_free"] >= 96_000
    assert at["__l2_end"] - at["__l2_free"] >= 1_440_000


def test_a_fused_multiply_add_is_one_instruction(wearable_image):
    code = binutil("objdump", "-d", wearable_image)
    assert len(re.findall(r"\tfmadd\.s\t", code)) > 100
    assert not {"fmaf", "sqrtf", "expf", "logf"} & set(symbols(wearable_image))


def test_the_launcher_knows_the_size_of_storage(repository):
    source = '#include "layout.h"\nint size[BT_STORAGE_BYTES];\n'
    done = subprocess.run(
        [COMPILER, "-march=rv32imafc", "-mabi=ilp32f", "-I", repository / "device_agent/firmware/app", "-x", "c", "-S",
         "-o", "-", "-"], input=source, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert re.search(rf"\.zero\s+{4 * STORAGE_BYTES}\b|size,\s*{4 * STORAGE_BYTES}\b", done.stdout)


def test_an_image_is_built_once(wearable_image, monkeypatch):
    def build(*_: object) -> None:
        raise AssertionError("built again")

    monkeypatch.setattr(image_module, "_build", build)
    assert image(WEARABLE_IMAGE) == wearable_image


def test_missing_tools_are_named_with_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=f"{COMPILER} was not found.*apt-get install gcc-riscv64-unknown-elf"):
        image(WEARABLE_IMAGE)


def test_a_build_that_fails_says_what_the_compiler_said(tmp_path, monkeypatch, repository):
    import shutil

    firmware = tmp_path / "firmware"
    shutil.copytree(repository / "device_agent" / "firmware", firmware)
    (firmware / "app" / "ring.c").write_text("#error this is wrong\n")
    monkeypatch.setattr(image_module, "_firmware", lambda: firmware)
    monkeypatch.setenv("BIOTRAIN_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match="this is wrong"):
        image(WEARABLE_IMAGE)
    assert not list((tmp_path / "cache").rglob("*.elf"))
