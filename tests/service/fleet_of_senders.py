"""Many devices in one process, and an independent checker of what was stored.

Every device keeps what it publishes until it is told that it is stored, and publishes it again when that takes too
long; what it has sent is written to a log, one file for all, before it goes out. Run it by hand:

    python -m tests.service.fleet_of_senders --help
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

from messaging import Broker, BrokerSettings, PublishError
from schemas.base import utc_now
from schemas.stored import Stored
from tests.service.story import Story

Key = tuple[str, str, int, int]


class Fleet:
    """`devices` devices that share `connections` connections, each sending `rate` messages a second."""

    def __init__(
        self, port: int, log: Path, *, devices: int, rate: float, connections: int = 4, stop: Path | None = None
    ) -> None:
        self._stop = stop
        self._log = log
        self._rate = rate
        self._stories = [Story("fleet", f"d{number:05d}", seed=number) for number in range(devices)]
        self._outbox: dict[Key, tuple[float, str, bytes]] = {}
        self._brokers = [
            Broker(
                BrokerSettings(port=port, client_id=f"fleet-{number}", backoff_longest_s=0.5, inflight_messages=500),
                subscriptions=["biotrain/v1/fleet/+/stored"] if number == 0 else [],
            )
            for number in range(connections)
        ]
        self.sent = self.resent = 0

    async def run(self, seconds: float, drain_s: float = 60.0, resend_after_s: float = 10.0) -> None:
        """Sends for so long, then waits until everything is said to be stored."""
        listener = self._brokers[0]
        async with asyncio.TaskGroup() as group:
            for broker in self._brokers:
                await broker.__aenter__()
            tasks = [
                group.create_task(self._listen(listener)),
                group.create_task(self._resend(resend_after_s)),
            ]
            await asyncio.gather(*(broker.next_connection() for broker in self._brokers))
            await self._send(seconds)
            end = time.monotonic() + drain_s
            while self._outbox and time.monotonic() < end:
                await asyncio.sleep(0.2)
            for task in tasks:
                task.cancel()
        for broker in self._brokers:
            await broker.__aexit__(None, None, None)
        if self._outbox:
            raise TimeoutError(f"{len(self._outbox)} messages were never said to be stored")

    async def _send(self, seconds: float) -> None:
        choose = random.Random(5)
        began = time.monotonic()
        with self._log.open("a") as log:
            while (now := time.monotonic()) - began < seconds and not (self._stop and self._stop.exists()):
                due = int((now - began) * self._rate * len(self._stories)) - self.sent
                for _ in range(min(due, 500)):
                    story = self._stories[self.sent % len(self._stories)]
                    kind = choose.random()
                    published = story.health() if kind < 0.1 else story.telemetry(0.9, 0.5)
                    message = published.message
                    key = (message.site, message.device, message.boot, message.seq)
                    digest = hashlib.sha256(published.payload).hexdigest()
                    log.write(json.dumps([*key, digest]) + "\n")
                    self._outbox[key] = (now, published.topic, published.payload)
                    self._publish(published.topic, published.payload)
                    self.sent += 1
                log.flush()
                await asyncio.sleep(0.02)

    def _publish(self, topic: str, payload: bytes) -> None:
        broker = self._brokers[hash(topic) % len(self._brokers)]
        try:
            broker.publish_unconfirmed([(topic, payload)])
        except PublishError:
            return

    async def _resend(self, after_s: float) -> None:
        while True:
            await asyncio.sleep(after_s / 5)
            now = time.monotonic()
            old = [(key, one) for key, one in self._outbox.items() if now - one[0] > after_s]
            for key, (_, topic, payload) in old[:5000]:
                self._outbox[key] = (now, topic, payload)
                self._publish(topic, payload)
                self.resent += 1

    async def _listen(self, broker: Broker) -> None:
        async for delivery in broker:
            message = Stored.model_validate_json(delivery.payload)
            for one in message.ranges:
                for seq in range(one.first, one.last + 1):
                    self._outbox.pop((message.site, message.device, one.boot, seq), None)
            delivery.acknowledge()


def logged(log: Path) -> Iterator[tuple[Key, str]]:
    for line in log.read_text().splitlines():
        site, device, boot, seq, digest = json.loads(line)
        yield (site, device, boot, seq), digest


def check(log: Path, rows: Iterator[tuple[str, str, int, int, str]]) -> str:
    """Compares the senders' log with the store, without any of the supervisor's code; '' when all is well."""
    sent = dict(logged(log))
    seen: set[Key] = set()
    for site, device, boot, seq, payload in rows:
        key = (site, device, boot, seq)
        if key in seen:
            return f"{key} is stored twice"
        seen.add(key)
        if sent.get(key) != hashlib.sha256(payload.encode()).hexdigest():
            return f"{key} is stored with other content than was sent, or was never sent"
    missing = sent.keys() - seen
    return f"{len(missing)} of {len(sent)} are missing, such as {min(missing)}" if missing else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--devices", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=2.0, help="messages a second of each device")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--drain", type=float, default=120.0)
    parser.add_argument("--stop", type=Path, help="ends the sending when this file is there")
    arguments = parser.parse_args()
    fleet = Fleet(arguments.port, arguments.log, devices=arguments.devices, rate=arguments.rate, stop=arguments.stop)
    asyncio.run(fleet.run(arguments.seconds, arguments.drain))
    print(json.dumps({"sent": fleet.sent, "sent_again": fleet.resent, "at": utc_now().isoformat()}))


if __name__ == "__main__":
    main()
