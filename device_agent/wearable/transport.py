"""What a transport must hold: a stream of bytes to the wearable, which may end at any time and be opened again."""

from __future__ import annotations

from abc import ABC, abstractmethod


class TransportError(Exception):
    """The stream cannot be opened, or has ended; the message names the address and the reason."""


class Transport(ABC):
    """To add one: implement these, register its address in `connect.py`."""

    @property
    @abstractmethod
    def address(self) -> str:
        """As the user wrote it, for messages."""

    @abstractmethod
    async def open(self) -> None:
        """Begin a stream; bytes of an earlier one never appear in it. Raises TransportError."""

    @abstractmethod
    async def read(self) -> bytes:
        """At least one byte; b"" when the stream has ended. Never raises for a stream that broke."""

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Returns when little enough is buffered that what is written next leaves soon. Raises TransportError."""

    @abstractmethod
    async def close(self) -> None:
        """End the stream. Harmless when there is none."""
