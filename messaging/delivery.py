"""One received message, and its acknowledgement."""

from __future__ import annotations

from collections.abc import Callable


class Delivery:
    """A message the broker believes in flight until `acknowledge` is called.

    An unacknowledged one of a persistent session is delivered again after the next connection.
    """

    __slots__ = ("_acknowledge", "duplicate", "payload", "qos", "retained", "topic")

    def __init__(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retained: bool = False,
        duplicate: bool = False,
        acknowledge: Callable[[], bool],
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retained = retained
        self.duplicate = duplicate
        self._acknowledge = acknowledge

    def acknowledge(self) -> bool:
        """Tell the broker that it may forget this message; at most once, and never before it is safe.

        False when the connection that brought it is gone: the broker will deliver it again.
        """
        return self._acknowledge()

    def __repr__(self) -> str:
        return f"Delivery({self.topic!r}, {len(self.payload)} bytes, qos={self.qos})"
