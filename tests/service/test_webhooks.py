"""Webhooks against a real HTTP server: what is posted, how it is signed, and what happens when it is refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.errors import UserError
from service.store.deliveries import Delivery
from service.webhook import make_webhook
from tests.brokers import Mosquitto
from tests.service.devices import SenderWithLog
from tests.service.story import Story
from tests.service.test_hooks import an_alert, until
from tests.supervisors import SupervisorProcess

SECRET = "whsec_" + base64.b64encode(b"twenty-four bytes of key").decode()


class Receiver(ThreadingHTTPServer):
    """Keeps what it gets and answers with `status`."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(server.status)
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                return

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/alerts"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def test_an_alert_is_posted_as_a_signed_cloud_event(receiver: Receiver) -> None:
    webhook = make_webhook(receiver.url, SECRET, 5.0)
    result = await webhook.post(Delivery(1, "opened", 1, an_alert()))
    assert (result.status, result.detail) == ("done", "answered 200")
    ((headers, body),) = receiver.got
    assert headers["content-type"] == "application/cloudevents+json"
    event = json.loads(body)
    assert (event["specversion"], event["type"], event["source"]) == (
        "1.0", "biotrain.alert.opened", "/biotrain/lab/band-1",
    )  # fmt: skip
    assert event["data"]["alert_id"] == an_alert().alert_id
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(b"twenty-four bytes of key", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


async def test_what_is_no_success_is_a_failure_with_its_reason(receiver: Receiver) -> None:
    webhook = make_webhook(receiver.url, None, 5.0)
    receiver.status = 500
    assert (await webhook.post(Delivery(1, "opened", 1, an_alert()))).detail == "answered 500"
    receiver.status = 302
    assert (await webhook.post(Delivery(1, "opened", 1, an_alert()))).status == "failed"
    closed = make_webhook("http://127.0.0.1:1/x", None, 5.0)
    assert "ConnectError" in (await closed.post(Delivery(1, "opened", 1, an_alert()))).detail


def test_pauses_grow_to_an_hour_and_no_further() -> None:
    webhook = make_webhook("http://h/", None, 5.0)
    pauses = [webhook.pause_s(attempt) for attempt in range(1, webhook.attempts)]
    assert 3.7 <= pauses[0] <= 5.0
    assert max(pauses) <= 3600.0
    assert sum(pauses) > 3 * 3600, "a receiver that is down for an hour misses nothing"


@pytest.mark.parametrize("url", ["ftp://x/y", "alerts", "http:///nowhere", "https://" + "x" * 300])
def test_an_address_that_cannot_be_one_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="webhook"):
        make_webhook(url, None, 5.0)


@pytest.mark.slow
async def test_a_webhook_that_answers_500_is_tried_again_and_delays_nothing(
    tmp_path: Path, mosquitto: Mosquitto, receiver: Receiver
) -> None:
    receiver.status = 500
    (tmp_path / "noting.py").write_text("from pathlib import Path\nasync def note(alert):\n    Path('noted').touch()\n")
    supervisor = SupervisorProcess(
        tmp_path, mosquitto.address, "--webhook", receiver.url, "--webhook-secret", SECRET, "--hook", "noting:note"
    )
    supervisor.start()
    try:
        async with SenderWithLog(mosquitto.port) as sender:
            await sender.broker.next_connection()
            await sender.send([Story().drift()])
            await sender.drain()
        await asyncio.to_thread(until, (tmp_path / "noted").exists)
        await asyncio.to_thread(until, lambda: len(receiver.got) >= 1)
        receiver.status = 200
        await asyncio.to_thread(until, lambda: len(receiver.got) >= 2, 20.0)
        first, second = (json.loads(body) for _, body in receiver.got[:2])
        assert first == second, "the same event, under the same id"

        def outcome() -> Any:
            items = httpx.get(f"{supervisor.url}/api/deliveries").json()["items"]
            return [(one["status"], one["attempts"]) for one in items if one["channel"] == receiver.url]

        await asyncio.to_thread(until, lambda: outcome() == [("done", 2)])
    finally:
        supervisor.kill()
