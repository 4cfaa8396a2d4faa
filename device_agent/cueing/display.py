"""What shows cues, and tells when they could be seen."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod

from schemas.errors import UserError


class DisplayLost(UserError):
    """The page was closed, or shows nothing any more."""


class Display(ABC):
    """Where a wearer sees the cues."""

    @abstractmethod
    async def open(self) -> str:
        """Ready for a wearer; returns where, for people to read."""

    @abstractmethod
    async def wait_for_wearer(self) -> None:
        """Until somebody looks."""

    @abstractmethod
    async def show(self, kind: str, text: str, note: str = "") -> float:
        """`kind` is ready, cue, rest or end. Returns when it was there to be seen, seconds since the epoch (this
        computer's clock). Raises DisplayLost."""

    @abstractmethod
    async def close(self) -> None: ...


class TerminalDisplay(Display):
    """Large enough to be read from a step away; one line for each cue where nobody looks."""

    def __init__(self) -> None:
        self._fancy = sys.stdout.isatty()

    async def open(self) -> str:
        return "this terminal"

    async def wait_for_wearer(self) -> None:
        return

    async def show(self, kind: str, text: str, note: str = "") -> float:
        if self._fancy:
            words = {"ready": "+", "rest": "·"}.get(kind, text)
            frame = f"\x1b[2J\x1b[H\n\n        {words}\n\n    {note}\n"
        elif kind == "cue":
            frame = f"{note}  {text}\n"
        else:
            return time.time()
        sys.stdout.write(frame)
        sys.stdout.flush()
        return time.time()

    async def close(self) -> None:
        return
