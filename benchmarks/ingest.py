"""How fast the supervisor stores what comes in, against a bare aiomqtt QoS 1 receive loop in the same run.

    python benchmarks/ingest.py                              rate, latency, memory over 200,000 messages
    python benchmarks/ingest.py --only-memory --memory-messages 5000000 --memory-s 1500    the long one, or so long

Broker (Mosquitto), sender, receiver are processes of their own. For the rate, a backlog is queued while the receiver is
away and drained by the bare loop and by the supervisor in turn; the time between a tenth and nine tenths of it counts.
For the latency, messages are sent at half of the rate that the supervisor stored, and their time of publication is
compared with the time at which the page's event stream delivers them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from messaging.wire import split_packets  # noqa: E402
from schemas.telemetry import Latency, Telemetry  # noqa: E402
from tests.brokers import MOSQUITTO, free_port, wait_for_port  # noqa: E402

_RECEIVED = "biotrain_messages_received_total "
_ASK_EVERY_S = 0.05
LIMITS = {"max_inflight_messages": 2000, "max_queued_messages": 200_000}
#: What is queued beforehand carries the time of the start: a clock that is years off would be told and counted.
_TIME = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=20_000, help="backlog of one run")
    parser.add_argument("--rounds", type=int, default=9, help="runs of each receiver, in turn")
    parser.add_argument("--devices", type=int, default=200)
    parser.add_argument("--latency-s", type=float, default=20.0)
    parser.add_argument("--memory-messages", type=int, default=200_000)
    parser.add_argument("--memory-s", type=float, default=600.0, help="no new messages after so many seconds")
    parser.add_argument("--only-memory", action="store_true", help="neither rate nor latency")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, default=None, help="for the database; a temporary one without")
    parser.add_argument("--bare", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--send", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare:
        asyncio.run(bare_loop(*map(int, arguments.bare)))
    elif arguments.send:
        port, first, count, rate, devices = arguments.send
        send(int(port), int(first), int(count), float(rate), int(devices))
    else:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            Benchmark(Path(folder), arguments).run()


@dataclass(frozen=True)
class Drained:
    """Messages a second, and processor time for each, microseconds."""

    per_s: float
    cpu_us: float


class Benchmark:
    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self.folder, self.arguments = folder, arguments
        self.port = free_port()
        self.sent = 0
        self.store = folder / "ingest.db"
        self.supervisor: subprocess.Popen[bytes] | None = None
        self.url = ""

    def run(self) -> None:
        arguments = self.arguments
        configuration = self.folder / "mosquitto.conf"
        limits = "".join(f"{name} {value}\n" for name, value in LIMITS.items())
        configuration.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n{limits}log_dest none\n")
        broker = subprocess.Popen([MOSQUITTO, "-c", str(configuration)])
        try:
            wait_for_port(self.port, broker)
            asyncio.run(bare_loop(self.port, 0))  # both sessions are known from now on
            self.start()
            self.stop()
            result = {"broker": "mosquitto", **LIMITS, "devices": arguments.devices}
            if arguments.only_memory:
                self.start()
            else:
                result |= self.rate()
                self.start()
                result["latency"] = self.latency(result["stored_per_s"] / 2)
            result["memory"] = self.memory(arguments.memory_messages, arguments.memory_s)
            self.stop()
            result["store_bytes_per_message"] = round(self.store.stat().st_size / self.sent)
        finally:
            if self.supervisor is not None:
                self.supervisor.kill()
            broker.terminate()
            broker.wait()
        if arguments.json:
            print(json.dumps(result))
        else:
            for name, value in result.items():
                print(f"{name:24s} {value}")

    def rate(self) -> dict[str, Any]:
        """Bare loop and supervisor in turn, each on the same backlog."""
        drained: dict[str, list[Drained]] = {"bare": [], "supervisor": []}
        turn = [("bare", self.drain_bare), ("supervisor", self.drain_supervisor)]
        for _ in range(self.arguments.rounds):
            self.send(self.arguments.messages)
            for name, drain in turn:
                drained[name].append(drain(self.arguments.messages))
            turn.reverse()  # what the machine does besides, and the size of the store, come to both alike
        best = {name: statistics.median(one.per_s for one in each) for name, each in drained.items()}
        cpu = {name: statistics.median(one.cpu_us for one in each) for name, each in drained.items()}
        pairs = zip(drained["supervisor"], drained["bare"], strict=True)
        ratios = [round(ours.per_s / bare.per_s, 2) for ours, bare in pairs]
        return {
            "messages": self.arguments.messages, "bare_per_s": round(best["bare"]),
            "stored_per_s": round(best["supervisor"]), "ratio": round(statistics.median(ratios), 2),
            "ratios": ratios, "bare_cpu_us": round(cpu["bare"], 1), "stored_cpu_us": round(cpu["supervisor"], 1),
            "cpu_ratio": round(cpu["bare"] / cpu["supervisor"], 2),
        }  # fmt: skip

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        self.supervisor = subprocess.Popen(
            [sys.executable, "-m", "biotrain", "supervisor", "--broker", f"127.0.0.1:{self.port}", "--store",
             f"sqlite:///{self.store}", "--listen", "127.0.0.1:0", "--json", "--log-level", "error"],
            stdout=subprocess.PIPE, env=environment,
        )  # fmt: skip
        assert self.supervisor.stdout is not None
        self.url = json.loads(self.supervisor.stdout.readline())["url"]

    def stop(self) -> None:
        assert self.supervisor is not None
        self.supervisor.terminate()
        self.supervisor.wait(30)
        self.supervisor = None

    def send(self, count: int, rate: float = 0.0) -> None:
        first, self.sent = self.sent, self.sent + count
        subprocess.run(
            [sys.executable, __file__, "--send", str(self.port), str(first), str(count), str(rate),
             str(self.arguments.devices)],
            check=True,
        )  # fmt: skip

    def drain_bare(self, count: int) -> Drained:
        out = subprocess.run(
            [sys.executable, __file__, "--bare", str(self.port), str(count)], check=True, capture_output=True
        )
        rate, cpu_us = map(float, out.stdout.split())
        return Drained(rate, cpu_us)

    def received(self) -> int:
        with urlopen(f"{self.url}/metrics") as response:  # noqa: S310  the address is ours
            lines = response.read().decode().splitlines()
        return int(float(next(line.split()[1] for line in lines if line.startswith(_RECEIVED))))

    def drain_supervisor(self, count: int) -> Drained:
        """Its own counter is asked for a few times a second, since the answer costs the time that is measured."""
        self.start()
        seen: list[tuple[float, int, float]] = []
        while not seen or seen[-1][1] < count:
            seen.append((time.monotonic(), self.received(), self.processor_s()))
            time.sleep(_ASK_EVERY_S)
        self.stop()
        low = next(point for point in seen if point[1] >= 0.1 * count)
        high = next(point for point in seen if point[1] >= 0.9 * count)
        handled = high[1] - low[1]
        return Drained(handled / (high[0] - low[0]), (high[2] - low[2]) / handled * 1e6)

    def processor_s(self) -> float:
        assert self.supervisor is not None
        fields = Path(f"/proc/{self.supervisor.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def latency(self, rate: float) -> dict[str, Any]:
        count = int(rate * self.arguments.latency_s)
        delays: list[float] = []
        reader = threading.Thread(target=read_live, args=(self.url, count, delays))
        reader.start()
        time.sleep(0.5)
        self.send(count, rate)
        reader.join(60)
        ordered = sorted(delays)
        return {
            "per_s": round(rate), "messages": len(ordered),
            **{f"p{part}_ms": round(ordered[int(len(ordered) * part / 100)] * 1e3, 1) for part in (50, 99)},
            "max_ms": round(ordered[-1] * 1e3, 1),
        }  # fmt: skip

    def memory(self, count: int, within_s: float) -> dict[str, Any]:
        """Resident size every 100,000 messages; its growth is a line through what comes after the first tenth."""
        done, before, began = 0, self.received(), time.monotonic()
        sizes: list[tuple[int, float]] = []
        part = max(1, min(50_000, count // 20))
        while done < count and time.monotonic() - began < within_s:
            self.send(part)
            done += part
            while self.received() - before < done - 2 * part:  # the next part is queued while this one is stored
                time.sleep(0.1)
            if done % (2 * part) == 0:
                sizes.append((done, self.resident_mb()))
                print(f"{done:>9,} messages, {sizes[-1][1]} MB, {time.monotonic() - began:.0f} s", file=sys.stderr)
        while self.received() - before < done:
            time.sleep(0.1)
        sizes.append((done, self.resident_mb()))
        late = [(at / 1e6, size) for at, size in sizes if at >= done / 10]
        slope = statistics.linear_regression(*zip(*late, strict=True)).slope if len(late) > 2 else 0.0
        return {
            "messages": done,
            "seconds": round(time.monotonic() - began),
            "at_a_tenth_mb": late[0][1],
            "at_the_end_mb": late[-1][1],
            "largest_mb": max(s for _, s in sizes),
            "mb_per_million": round(slope, 2),
        }

    def resident_mb(self) -> float:
        assert self.supervisor is not None
        pages = int(Path(f"/proc/{self.supervisor.pid}/statm").read_text().split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


async def bare_loop(port: int, count: int) -> None:
    """What aiomqtt alone can take: every message is counted and dropped; it acknowledges as it receives."""
    import aiomqtt

    marks: dict[int, tuple[float, float]] = {}
    async with aiomqtt.Client("127.0.0.1", port, identifier="bare", clean_session=False) as client:
        await client.subscribe("biotrain/v1/+/+/telemetry", qos=1)
        if not count:
            return
        seen = 0
        wanted = (count // 10, count * 9 // 10)
        async for _ in client.messages:
            seen += 1
            if seen in wanted:
                marks[seen] = (time.monotonic(), time.process_time())
            if seen == count:
                break
    (began, began_cpu), (ended, ended_cpu) = marks[wanted[0]], marks[wanted[1]]
    handled = wanted[1] - wanted[0]
    print(handled / (ended - began), (ended_cpu - began_cpu) / handled * 1e6)


def send(port: int, first: int, count: int, rate: float, devices: int) -> None:
    """QoS 1 as fast as the broker confirms, or at a steady rate; bytes prepared beforehand where they can be."""
    sock = socket.create_connection(("127.0.0.1", port))
    name = f"sender-{os.getpid()}".encode()
    body = b"\x00\x04MQTT\x04\x02\x00\x00" + len(name).to_bytes(2) + name
    sock.sendall(bytes((0x10, len(body))) + body)
    sock.recv(4)
    forms = [payload_form(number) for number in range(devices)]
    confirmed, number, unread = 0, 0, bytearray()
    started = time.monotonic()
    while confirmed < count:
        piece = bytearray()
        due = count if not rate else min(count, int((time.monotonic() - started) * rate))
        while number < due and number - confirmed < 4000 and len(piece) < 60_000:
            place = first + number
            topic, before, after = forms[place % devices]
            stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode() if rate else _TIME.encode()
            payload = before + stamp + after % (place // devices + 1)
            length = 2 + len(topic) + 2 + len(payload)
            piece += bytes((0x32, length & 127 | 128, length >> 7)) + len(topic).to_bytes(2) + topic
            piece += (number % 65_000 + 1).to_bytes(2) + payload
            number += 1
        if piece:
            sock.sendall(piece)
        if select.select([sock], [], [], 0.002 if number < count else 1.0)[0]:
            unread += sock.recv(65536)
            confirmed += len(split_packets(unread))


def payload_form(number: int) -> tuple[bytes, bytes, bytes]:
    """Topic, and the payload before and after its time; `%d` stands for its number."""
    device = f"d{number}"
    message = Telemetry(
        site="bench", device=device, wearer="U1", boot=1, seq=987_654_321, time=datetime(2000, 1, 1, tzinfo=UTC),
        period_s=60.0, first_window=10, last_window=19, windows=10, windows_dropped=0, labelled=10, correct=9,
        frozen_correct=6, confidence_mean=0.83, entropy_mean=0.41, error_rate=0.1, drift_statistic=3.25,
        drift_threshold=12.0, weights_version=2, latency=Latency(p50_ms=3.1, p99_ms=6.0, max_ms=8.4),
        predicted_classes={"rest": 4, "left": 3, "right": 3},
    )  # fmt: skip
    fields = json.loads(message.to_json())
    fields["time"] = "@time@"
    head, _, tail = json.dumps(fields, separators=(",", ":")).partition("@time@")
    assert tail.count("987654321") == 1, "the number stands behind the time"
    after = tail.replace("%", "%%").replace("987654321", "%d")
    return f"biotrain/v1/bench/{device}/telemetry".encode(), head.encode(), after.encode()


def read_live(url: str, count: int, delays: list[float]) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    sock = socket.create_connection((host, int(port)))
    sock.settimeout(30)
    sock.sendall(f"GET /api/live HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    stamp = re.compile(rb'"time":"([^"]+)"')
    rest = b""
    while len(delays) < count:
        try:
            data = sock.recv(262_144)
        except TimeoutError:
            return
        now = time.time()
        events = (rest + data).split(b"\n\n")
        rest = events.pop()
        for event in events:
            found = stamp.search(event)
            if found:
                delays.append(now - datetime.fromisoformat(found.group(1).decode()).timestamp())


if __name__ == "__main__":
    main()
