"""The agent's own log of events, for an independent checker: whatever stands there has been in the outbox."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from schemas.base import Sequenced

#: A file that has grown so far becomes `events.1.jsonl`, and what was that is gone.
LARGEST_BYTES = 16_000_000


class EventLog:
    """One JSON line for each event. It is never what an event is kept in, so a full disk costs it lines, not more."""

    def __init__(self, folder: Path, largest: int = LARGEST_BYTES) -> None:
        self._path, self._largest = folder / "events.jsonl", largest
        self._file = self._open()

    def append(self, messages: Sequence[Sequenced]) -> None:
        lines = b"".join(_line(message) for message in messages)
        if not lines:
            return
        try:
            if os.fstat(self._file).st_size >= self._largest:
                os.close(self._file)
                self._path.replace(self._path.with_name("events.1.jsonl"))
                self._file = self._open()
            os.write(self._file, lines)
        except OSError:
            self._end_torn_line()

    def close(self) -> None:
        os.close(self._file)

    def _open(self) -> int:
        self._file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
        self._end_torn_line()
        return self._file

    def _end_torn_line(self) -> None:
        """After a power cut, or on a full disk, the last line may have no end; the next must not be glued to it."""
        try:
            size = os.fstat(self._file).st_size
            if size and os.pread(self._file, 1, size - 1) != b"\n":
                os.write(self._file, b"\n")
        except OSError:
            return


def _line(message: Sequenced) -> bytes:
    event = message.device_event
    told = {
        "boot": message.boot,
        "seq": message.seq,
        "schema": message.schema_name,
        "time": message.time.isoformat(),
        "device_event": event and event.model_dump(),
    }
    return json.dumps(told).encode() + b"\n"
