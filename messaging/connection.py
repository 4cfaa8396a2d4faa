"""One connection of aiomqtt, and every private corner of it that we lean on.

aiomqtt 2.5 has no public manual acknowledgement, no back-pressure on received messages, and does not
end a pending publish when the connection breaks. paho, which it drives, has the first two; this file is
the only one that knows. `tests/messaging` holds it against real brokers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import aiomqtt
import paho.mqtt.client as paho

from messaging.delivery import Delivery
from messaging.settings import BrokerSettings, Will

#: A connection attempt blocks a thread this long at most, so that a stop never waits longer.
_CONNECT_TIMEOUT_S = 3.0


class PublishError(Exception):
    """The broker has not acknowledged a message: it may or may not have arrived. Send it again."""


class Connection(aiomqtt.Client):
    """A single connection, from connect to loss; a new one is made for every attempt.

    Received messages are handed to `receive` in the order of arrival and are not acknowledged.
    """

    def __init__(self, settings: BrokerSettings, will: Will | None, receive: Callable[[Delivery], None]) -> None:
        super().__init__(
            settings.host,
            settings.port,
            identifier=settings.client_id,
            username=settings.username,
            password=settings.password,
            clean_session=not settings.persistent_session,
            keepalive=settings.keepalive_s,
            timeout=settings.timeout_s,
            will=None if will is None else aiomqtt.Will(will.topic, will.payload, qos=1, retain=will.retain),
            max_inflight_messages=settings.inflight_messages,
            max_concurrent_outgoing_calls=settings.inflight_messages,
            logger=_LOGGER,
        )
        self.pending_calls_threshold = settings.inflight_messages
        self._receive = receive
        self._reading_paused = False
        self._reader: Callable[[], None] | None = None
        self._client.manual_ack_set(True)
        self._client.connect_timeout = _CONNECT_TIMEOUT_S

    @property
    def usable(self) -> bool:
        return self._connected.done() and not self._disconnected.done()

    async def open(self, subscriptions: Sequence[str]) -> None:
        """Connect and subscribe. Raises aiomqtt.MqttError when broker or network say no."""
        await self.__aenter__()
        _honour_cancellation()
        if not subscriptions:
            return
        granted = await self.subscribe([(topic, 1) for topic in subscriptions])
        _honour_cancellation()
        refused = [topic for topic, code in zip(subscriptions, granted, strict=True) if _is_refusal(code)]
        if refused:
            raise aiomqtt.MqttError(f"the broker refuses the subscription to {', '.join(refused)}")

    async def wait_lost(self) -> str:
        """Returns when the connection has broken; why, in a few words."""
        await asyncio.wait((self._disconnected,))
        error = self._disconnected.exception()
        return str(error) if error else "disconnected"

    async def send(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        """Returns after the broker's PUBACK; raises PublishError when the connection breaks before."""
        if not self.usable:
            raise PublishError("not connected to the broker")
        try:
            await self.publish(topic, payload, qos=qos, retain=retain)
        except aiomqtt.MqttError as error:
            raise PublishError(str(error)) from error
        _honour_cancellation()
        if self._disconnected.done():
            raise PublishError("the connection to the broker broke before it acknowledged")

    def pause_reading(self) -> None:
        """Leave what the broker sends in the socket: TCP holds it back, nothing is dropped."""
        sock = self._client.socket()
        if not self._reading_paused and sock is not None and sock.fileno() >= 0:
            self._reading_paused = True
            self._loop.remove_reader(sock.fileno())

    def resume_reading(self) -> None:
        sock = self._client.socket()
        if self._reading_paused and self.usable and sock is not None and sock.fileno() >= 0:
            self._reading_paused = False
            self._loop.add_reader(sock.fileno(), self._read_socket)

    async def close(self, *, gracefully: bool) -> None:
        """Leave nothing behind: no socket, no task, no waiting publish. Without grace the will is sent."""
        if gracefully and self.usable:
            self.resume_reading()
            with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
                async with asyncio.timeout(1.5):
                    await self.__aexit__(None, None, None)
        if not self._disconnected.done():
            self._disconnected.set_result(None)
        for confirmation in list(self._pending_publishes.values()):
            confirmation.set()
        self._client._sock_close()
        # The callbacks of an attempt that was cut short arrive from its thread through the loop.
        await asyncio.sleep(0)
        if self._misc_task is not None:
            self._misc_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._misc_task
        # Retrieved, so that asyncio does not report it when this object is collected.
        for future in (self._connected, self._disconnected):
            if future.done() and not future.cancelled():
                future.exception()

    def _read_socket(self) -> None:
        try:
            self._client.loop_read()
        except Exception as error:  # what a broken socket raises depends on the platform
            if not self._disconnected.done():
                self._disconnected.set_exception(error)

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = repr(bytes(message._topic))
        self._receive(
            Delivery(
                topic,
                bytes(message.payload),
                qos=message.qos,
                retained=message.retain,
                duplicate=message.dup,
                acknowledge=partial(self._acknowledge, message.mid, message.qos),
            )
        )

    def _acknowledge(self, mid: int, qos: int) -> bool:
        # A packet id belongs to its connection: on the next one it may stand for another message.
        if not self.usable:
            return False
        return qos == 0 or self._client.ack(mid, qos) == paho.MQTT_ERR_SUCCESS


def _honour_cancellation() -> None:
    """Python 3.11's `wait_for`, on which aiomqtt waits, forgets a cancellation that comes with the answer."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _is_refusal(code: object) -> bool:
    value = getattr(code, "value", code)
    return isinstance(value, int) and value >= 0x80


_LOGGER = logging.getLogger("biotrain.mqtt")
_LOGGER.setLevel(logging.ERROR)
