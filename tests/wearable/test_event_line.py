"""The wearable writes its log's numbers itself: what is read back is the float that was written."""

from __future__ import annotations

import ctypes
import json

import numpy as np

from device_agent.engine.library import LIBRARY, find_native
from schemas.link.told import EventRecord


def lines(records: list[EventRecord]) -> list[dict[str, object]]:
    library = ctypes.CDLL(str(find_native(LIBRARY)))
    event, line = ctypes.create_string_buffer(256), ctypes.create_string_buffer(1024)
    told = []
    for record in records:
        library.bt_event_unpack(event, record.to_bytes())
        length = library.bt_event_line(line, event)
        assert line.value.endswith(b"}\n")
        assert length == len(line.value)
        told.append(json.loads(line.value))
    return told


def record(loss: float = 0.0, detail: str = "", **more: int) -> EventRecord:
    fields = dict.fromkeys(("index", "boot", "seq", "fit_id", "epoch", "step", "steps"), 1)
    fields |= {"time_us": 5, "weights_version": 2, "l2_peak_bytes": 3, "kind": 5, **more}
    return EventRecord(**fields, loss=loss, detail=detail)


def test_every_float_is_read_back_as_it_was():
    rng = np.random.default_rng(0)
    bits = np.concatenate([rng.integers(0, 2**32, 20_000, dtype=np.uint32), np.arange(1, 200, dtype=np.uint32)])
    values = bits.view(np.float32)
    values = np.concatenate([values, np.float32([1, 0.1, 1e-38, 3.4028235e38, 9.9999999, 1e9, 1e10, 123456789, -2.5])])
    values = values[np.isfinite(values)]
    told = lines([record(float(value)) for value in values])
    read = np.array([line["loss"] for line in told]).astype(np.float32)
    np.testing.assert_array_equal(read, values)


def test_fields_are_told_by_name_and_odd_letters_do_not_break_the_line():
    (line,) = lines([record(0.5, 'a"b\\c\n', time_us=2**60, kind=13)])
    assert (line["time_us"], line["kind"], line["detail"], line["loss"]) == (2**60, "FACTORY_RESET", "a?b?c?", 0.5)
