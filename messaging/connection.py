"""One connection of aiomqtt, and every private corner of it that we lean on.

aiomqtt 2.5 has no public manual acknowledgement, no back-pressure on received messages, and does not
end a pending publish when the connection breaks. paho, which it drives, has the first two; this file is
the only one that knows. `tests/messaging` holds it against real brokers.

paho reads a packet with four system calls, one packet for each round of the event loop, and sends each
acknowledgement by itself. What comes and goes by the thousand is read, acknowledged and sent here, in large pieces
(`messaging/wire.py`); every other packet is left to paho.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import aiomqtt
import paho.mqtt.client as paho

from messaging.delivery import Delivery
from messaging.identity import explain
from messaging.settings import BrokerSettings, Will
from messaging.wire import PUBACK, PUBLISH, WireError, decode_publish, encode_pubacks, encode_publish, split_packets

#: A connection attempt blocks a thread this long at most, so that a stop never waits longer.
_CONNECT_TIMEOUT_S = 3.0
#: One read; with a full inbox, so much more is taken in at most.
_READ_BYTES = 64 * 1024


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
            tls_context=settings.identity.context() if settings.identity is not None else None,
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
        self._unread = bytearray()
        self._acknowledged: list[int] = []
        self._failure = ""
        self._client.on_log = self._note_failure
        self._client.manual_ack_set(True)
        self._client.connect_timeout = _CONNECT_TIMEOUT_S

    @property
    def usable(self) -> bool:
        return self._connected.done() and not self._disconnected.done()

    async def open(self, subscriptions: Sequence[str], wishes: Sequence[str] = ()) -> None:
        """Connect and subscribe. Raises aiomqtt.MqttError when broker or network say no; it may refuse `wishes`."""
        try:
            await self.__aenter__()
        except aiomqtt.MqttError as error:
            raise aiomqtt.MqttError(explain(str(error))) from None
        _honour_cancellation()
        wanted = [*subscriptions, *wishes]
        if not wanted:
            return
        granted = await self.subscribe([(topic, 1) for topic in wanted])
        _honour_cancellation()
        refused = [topic for topic, code in zip(subscriptions, granted, strict=False) if _is_refusal(code)]
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
            self._send_acknowledgements()
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

    def send_unconfirmed(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """QoS 0, in one piece: they may be lost with the connection. Raises PublishError when there is none."""
        if not self.usable:
            raise PublishError("not connected to the broker")
        # Under another packet's name: paho would look for the one message that it belongs to.
        self._client._packet_queue(PUBACK, b"".join(encode_publish(*message) for message in messages), 0, 0)

    def _on_socket_open(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        # From the connecting thread, and instead of aiomqtt's: a broker that hangs up at once (with a TLS alert) would
        # have the loop watch a socket that is gone, or another one that has its number since.
        self._loop.call_soon_threadsafe(self._watch, sock)

    def _watch(self, sock: Any) -> None:
        if sock.fileno() >= 0:
            _send_at_once(sock)
            self._loop.add_reader(sock.fileno(), self._read_socket)
            self._misc_task = self._loop.create_task(self._misc_loop())

    def _on_socket_register_write(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        self._loop.call_soon_threadsafe(self._watch_for_writing, sock)

    def _watch_for_writing(self, sock: Any) -> None:
        if sock.fileno() >= 0 and self._client.want_write():
            self._loop.add_writer(sock.fileno(), self._write_socket)

    def _write_socket(self) -> None:
        try:
            self._client.loop_write()
        except Exception as error:  # what a broken socket raises depends on the platform
            if not self._disconnected.done():
                self._disconnected.set_exception(error)

    def _read_socket(self) -> None:
        sock = self._client._sock
        if sock is None:
            return
        try:
            while True:
                data = sock.recv(_READ_BYTES)
                if not data:
                    self._client._loop_rc_handle(paho.MQTT_ERR_CONN_LOST)
                    return
                self._unread += data
                self._take_packets()
                if not (hasattr(sock, "pending") and sock.pending()):
                    return
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except WireError:
            self._client._loop_rc_handle(paho.MQTT_ERR_PROTOCOL)
        except OSError as error:
            self._failure = str(error)
            self._client._loop_rc_handle(paho.MQTT_ERR_CONN_LOST)
        except Exception as error:
            if not self._disconnected.done():
                self._disconnected.set_exception(error)

    def _note_failure(self, client: paho.Client, userdata: Any, level: int, text: str) -> None:
        """What the socket said last; paho passes on only that the connection is gone."""
        if level == paho.MQTT_LOG_ERR:
            self._failure = text

    def _give_up(self) -> None:
        if not self._connected.done():
            reason = explain(self._failure or "the broker closed the connection")
            self._connected.set_exception(aiomqtt.MqttError(reason))

    def _on_disconnect(self, *arguments: Any) -> None:
        # aiomqtt would wait for the answer of a broker that has hung up already: after a TLS alert, say.
        if not self._connected.done():
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._give_up)
        super()._on_disconnect(*arguments)

    def _take_packets(self) -> None:
        client = self._client
        # What tells paho that the broker is alive; the name changed between its versions.
        client._last_bytes_received = client._last_msg_in = time.monotonic()  # type: ignore[attr-defined]
        for first, body in split_packets(self._unread):
            if first & 0xF0 == PUBLISH and first & 0x06 != 0x04:
                self._take_publish(first, body)
                continue
            client._in_packet = {
                "command": first,
                "have_remaining": 1,
                "remaining_count": [],
                "remaining_mult": 1,
                "remaining_length": len(body),
                "packet": bytearray(body),
                "to_process": 0,
                "pos": 0,
            }
            result = client._packet_handle()
            client._in_packet = {**client._in_packet, "command": 0, "have_remaining": 0, "packet": bytearray()}
            if result > 0:
                client._loop_rc_handle(result)
                return

    def _take_publish(self, first: int, body: bytes) -> None:
        name, identifier, payload = decode_publish(first, body)
        try:
            topic = name.decode()
        except UnicodeDecodeError:
            topic = repr(name)
        qos = (first >> 1) & 3
        self._receive(
            Delivery(
                topic,
                payload,
                qos=qos,
                retained=bool(first & 1),
                duplicate=bool(first & 8),
                acknowledge=partial(self._acknowledge, identifier, qos),
            )
        )

    def _acknowledge(self, mid: int, qos: int) -> bool:
        # A packet id belongs to its connection: on the next one it may stand for another message.
        if not self._acknowledged:
            if not self.usable:
                return False
            if qos:
                self._loop.call_soon(self._send_acknowledgements)
        if qos:
            self._acknowledged.append(mid)  # the others of this turn were found usable, and are looked at once more
        return True

    def _send_acknowledgements(self) -> None:
        identifiers, self._acknowledged = self._acknowledged, []
        if identifiers and self.usable and self._client._sock is not None:
            self._client._packet_queue(PUBACK, encode_pubacks(identifiers), 0, 1)


def _send_at_once(sock: Any) -> None:
    """No waiting for the peer's TCP acknowledgement (40 ms where it delays them) before the next small packet goes."""
    with contextlib.suppress(AttributeError, OSError):  # a websocket, a Unix socket
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


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
