"""The GAP9 port's storage on NOR flash: bytes as on any storage, whatever operation of the flash the power goes in."""

from __future__ import annotations

import ctypes
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SECTOR, RECORDS = 4096, 29 * 4096
"""BT_STORAGE_SECTOR and BT_AT_PLANS of app/layout.h."""


class Flash:
    """`port/gap9/nor.c` over an emulated chip (chip.c)."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._c = library
        library.chip_make.restype = ctypes.c_void_p
        self._chip = ctypes.c_void_p(library.chip_make())
        self.bytes = library.chip_storage_bytes()

    def start(self, operations: int = -1) -> None:
        """Power on; it goes again in the middle of so many erasures and programs from now."""
        assert self._c.chip_start(self._chip, operations) == 0

    def read(self, offset: int, count: int) -> bytes:
        held = ctypes.create_string_buffer(count)
        assert self._c.chip_read(self._chip, offset, held, count) == 0
        return held.raw

    def write(self, offset: int, data: bytes) -> bool:
        return int(self._c.chip_write(self._chip, offset, data, len(data))) == 0

    def most_worn(self) -> int:
        return int(self._c.chip_most_worn(self._chip))

    def close(self) -> None:
        self._c.chip_free(self._chip)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> ctypes.CDLL:
    firmware = repository / "device_agent" / "firmware"
    sources = [Path(__file__).with_name("chip.c"), firmware / "port/gap9/nor.c", firmware / "runtime/checksum.c"]
    target = tmp_path_factory.mktemp("chip") / "chip.so"
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    includes = ["-I", str(firmware / "include"), "-I", str(firmware / "runtime")]
    words = ["cc", "-std=c11", "-O1", *warnings, "-shared", "-fPIC", *includes, *map(str, sources), "-o", str(target)]
    subprocess.run(words, check=True)
    return ctypes.CDLL(str(target))


@pytest.fixture
def flash(library: ctypes.CDLL) -> Iterator[Flash]:
    flash = Flash(library)
    flash.start()
    yield flash
    flash.close()


def test_any_bytes_at_any_place_are_read_as_they_were_written(flash: Flash) -> None:
    rng, expected = random.Random(1), bytearray(RECORDS)
    for _ in range(300):
        count = rng.choice((12, 96, 300, 4096, 5000))
        offset = rng.randrange(RECORDS - count)
        data = rng.randbytes(count)
        assert flash.write(offset, data)
        expected[offset : offset + count] = data
        if rng.random() < 0.1:
            flash.start()
    assert flash.read(0, RECORDS) == expected
    across = rng.randbytes(10_000)  # from the records into the files
    assert flash.write(RECORDS - 3_000, across)
    assert flash.read(RECORDS - 3_000, 10_000) == across
    assert flash.write(RECORDS - 10, b"\x00" * 100)
    assert flash.read(RECORDS - 3_000, 10_000) == across[:2_990] + bytes(100) + across[3_090:]


def test_a_file_is_read_as_it_was_written_and_again_over_the_old_one(flash: Flash) -> None:
    rng = random.Random(2)
    for _ in range(3):
        values = rng.randbytes(30_000)
        for start in range(0, len(values), 1000):
            assert flash.write(RECORDS + 128 + start, values[start : start + 1000])
        assert flash.write(RECORDS, b"h" * 128)
        assert flash.read(RECORDS, 30_128) == b"h" * 128 + values


def test_whatever_operation_the_power_goes_in_a_record_is_the_old_one_or_the_new_one(library: ctypes.CDLL) -> None:
    old, new = b"old state" * 70, b"new STATE" * 70
    seen = set()
    for operations in range(1, 5):
        flash = Flash(library)
        flash.start()
        assert flash.write(0, old)
        assert flash.write(700, b"beside it")
        flash.start(operations)
        done = flash.write(0, new)
        flash.start()
        held = flash.read(0, len(old))
        assert held == (new if done else old)
        assert flash.read(700, 9) == b"beside it"
        seen.add(done)
        for _ in range(40):  # it goes on from there, round all its sectors
            assert flash.write(0, old)
        flash.start()
        assert flash.read(0, len(old)) == old
        flash.close()
    assert seen == {True, False}


def test_nothing_beyond_the_end_is_touched(flash: Flash) -> None:
    assert not flash.write(flash.bytes - 4, b"12345")
    assert not flash.write(2**32 - 4, b"1234")
    assert flash.write(flash.bytes - 4, b"1234")


def test_what_changes_most_wears_sixteen_sectors_in_turn(flash: Flash) -> None:
    for number in range(320):
        assert flash.write(2 * SECTOR, number.to_bytes(12, "little"))  # an acknowledgement mark
    assert flash.most_worn() == 320 // 16
