"""How much room the state folder's disk has, and a little that is held back for the last words."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

#: Less free than this, and the disk counts as full while there is still room to say so.
LOW_BYTES = 16_000_000
_RESERVE_BYTES = 1_000_000


class Disk:
    """`reserve` is a file that is given up when nothing can be written any more: then one more event fits."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._reserve = folder, folder / "reserve"

    @property
    def free_bytes(self) -> int:
        state = os.statvfs(self.folder)
        return state.f_bavail * state.f_frsize

    @property
    def low(self) -> bool:
        return self.free_bytes < LOW_BYTES

    def hold_back(self) -> None:
        """Make the reserve where it is missing and there is room for it."""
        if self._reserve.exists() or self.low:
            return
        with contextlib.suppress(OSError):
            # Written, not only sized: a file with a hole holds nothing back.
            self._reserve.write_bytes(bytes(_RESERVE_BYTES))

    def give_up_reserve(self) -> bool:
        """False when it had been given up before."""
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True
