"""Boards that BrainFlow speaks to (OpenBCI, Ganglion, BrainBit, ..., and its synthetic one)."""

from __future__ import annotations

import asyncio
import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from device_agent.sources.live import Samples, SampleStream
from device_agent.wearable.clock import DeviceClock
from schemas.errors import UserError

_POLL_S = 0.02
_COUNTERS = 256
"""BrainFlow's package numbers are the boards' own counters of one byte."""


def _brainflow() -> Any:
    """Raises UserError where the package is missing."""
    try:
        from brainflow import board_shim
    except ImportError:
        raise UserError("--source brainflow needs the package brainflow: pip install 'biotrain[live]'") from None
    # It asks importlib for the files of this module; before Python 3.12 only a package has any.
    board_shim.__name__ = "brainflow"
    board_shim.BoardShim.disable_board_logger()
    return board_shim


class BrainFlowStream(SampleStream):
    """`synthetic`, or a board's name or number in BrainFlow, with `:PORT` of a serial line or `:ADDRESS` behind it."""

    def __init__(self, name: str) -> None:
        self._name, _, self._place = name.partition(":")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="brainflow")
        self._board: Any = None
        self._rows: list[int] = []
        self._counter_row = self._marker_row = 0
        self._last: int | None = None
        self._count = 0
        self._rate_hz = 0.0
        # ten seconds of blocks, in which two quartz clocks drift apart by less than a sample
        self._clock = DeviceClock(remembered=500)
        self._classes: tuple[str, ...] = ()

    async def open(self, channels: tuple[str, ...], rate_hz: float, classes: tuple[str, ...]) -> None:
        self._rate_hz, self._classes = rate_hz, classes
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open, channels)

    async def read(self) -> list[Samples] | None:
        await asyncio.sleep(_POLL_S)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read)

    async def close(self) -> None:
        if self._board is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._end)
        self._thread.shutdown(wait=False)

    def insert_marker(self, number: int) -> None:
        """Mark the newest sample: class `number`, counted from 1."""
        self._board.insert_marker(float(number))

    def _open(self, channels: tuple[str, ...]) -> None:
        shim = _brainflow()
        board = _board_id(shim, self._name)
        parameters = shim.BrainFlowInputParams()
        if self._place.startswith(("/", "COM")):
            parameters.serial_port = self._place
        elif self._place:
            parameters.mac_address = self._place
        given_hz = float(shim.BoardShim.get_sampling_rate(board))
        if given_hz != self._rate_hz:
            raise UserError(
                f"board {self._name} samples at {given_hz:g} Hz, the plan expects {self._rate_hz:g} Hz: choose a plan "
                "that was made for it"
            )
        self._rows = _rows(shim, board, channels, self._name)
        self._counter_row = shim.BoardShim.get_package_num_channel(board)
        self._marker_row = shim.BoardShim.get_marker_channel(board)
        opened = shim.BoardShim(board, parameters)
        try:
            opened.prepare_session()
            opened.start_stream()
        except shim.BrainFlowError as error:
            if opened.is_prepared():
                opened.release_session()
            raise UserError(
                f"board {self._name} cannot be opened ({error}): is it on, and is its place right (--stream NAME:PORT)?"
            ) from None
        self._board = opened

    def _end(self) -> None:
        self._board.stop_stream()
        self._board.release_session()
        # When it is collected it would release whoever has opened the same board since.
        self._board.is_prepared = lambda: False

    def _read(self) -> list[Samples]:
        data = self._board.get_board_data()
        came_s = time.time()
        if not data.shape[1]:
            return []
        counters = data[self._counter_row].astype(int)
        before = counters[0] - 1 if self._last is None else self._last
        missing = (np.diff(counters, prepend=before) - 1) % _COUNTERS
        self._last = int(counters[-1])
        self._count += int(missing.sum()) + len(counters)
        self._clock.told(self._taken_us(0), came_s)
        blocks: list[Samples] = []
        borders = [0, *(int(k) for k in np.flatnonzero(missing[1:]) + 1), len(counters)]
        for first, last in itertools.pairwise(borders):
            behind = len(counters) - last + int(missing[last:].sum())
            values = np.ascontiguousarray(data[self._rows, first:last].T, np.float64)
            marks = [
                (self._here_s(len(counters) - 1 - k + int(missing[k + 1 :].sum())), self._classes[int(number) - 1])
                for k, number in enumerate(data[self._marker_row, first:last], first)
                if 0 < number <= len(self._classes)
            ]
            blocks.append(Samples(values, self._here_s(behind), int(missing[first]), tuple(marks)))
        return blocks

    def _taken_us(self, behind: int) -> int:
        """When the sample `behind` the newest was taken, on a clock that counts samples."""
        return round((self._count - behind) / self._rate_hz * 1e6)

    def _here_s(self, behind: int) -> float:
        told = self._clock.here_s(self._taken_us(behind))
        assert told is not None
        return told


def _board_id(shim: Any, name: str) -> int:
    if name.lstrip("-").isdigit():
        return int(name)
    known = {board.name.removesuffix("_BOARD").lower().replace("_", "-"): board.value for board in shim.BoardIds}
    if name.lower() not in known:
        raise UserError(f"BrainFlow knows no board {name!r}: choose one of {', '.join(sorted(known))}")
    return int(known[name.lower()])


def _rows(shim: Any, board: int, wanted: tuple[str, ...], name: str) -> list[int]:
    """By the electrodes' names, where the board has fixed ones; else in order."""
    rows = list(shim.BoardShim.get_exg_channels(board))
    try:
        names = list(shim.BoardShim.get_eeg_names(board))
    except shim.BrainFlowError:
        names = []
    if len(names) == len(rows) and set(wanted) <= set(names):
        return [rows[names.index(channel)] for channel in wanted]
    if len(wanted) == len(rows):
        return rows
    shown = ", ".join(names) or f"{len(rows)} channels without names"
    raise UserError(f"board {name} has {shown}: the plan's channels are {', '.join(wanted)}")
