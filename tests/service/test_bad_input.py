"""What goes wrong around a supervisor: told in the log once, counted always, and nothing is lost by it."""

from __future__ import annotations

import asyncio
import resource
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from messaging import Broker, BrokerSettings
from service.alert_desk import AlertDesk
from service.store import deliveries
from service.store.alert_rows import Channels
from service.store.batch import Batch
from service.store.database import Database
from service.store.writer import write_batch
from service.webhook import make_webhook
from tests.brokers import Mosquitto
from tests.service.devices import SenderWithLog
from tests.service.story import Story
from tests.service.test_hooks import until
from tests.service.test_nothing_lost import assert_all_stored_once
from tests.service.test_store import arrived
from tests.service.test_webhooks import Receiver, receiver  # noqa: F401
from tests.supervisors import SupervisorProcess


def metric(supervisor: SupervisorProcess, name: str, headers: dict[str, str] | None = None, **labels: str) -> float:
    text = httpx.get(f"{supervisor.url}/metrics", headers=headers, timeout=10).text
    (value,) = (
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    )
    return value


@pytest.mark.slow
async def test_a_full_disk_loses_nothing_and_is_told_once(mosquitto: Mosquitto, supervisor: SupervisorProcess) -> None:
    async with SenderWithLog(mosquitto.port) as sender:
        await sender.broker.next_connection()
        await sender.send(Story().days(5, accuracy=0.9, frozen=0.9))
        await sender.drain()
        before = resource.prlimit(supervisor.pid, resource.RLIMIT_FSIZE)
        written = max(file.stat().st_size for file in supervisor.store.parent.glob("biotrain.db*"))
        # No file of the supervisor grows beyond what its largest one is now: its writes fail as on a full disk.
        resource.prlimit(supervisor.pid, resource.RLIMIT_FSIZE, (written, before[1]))
        await sender.send(Story(boot=2).whole())
        await asyncio.to_thread(until, lambda: metric(supervisor, "biotrain_messages_store_failures_total") >= 2)
        assert metric(supervisor, "biotrain_store_ok") == 0
        resource.prlimit(supervisor.pid, resource.RLIMIT_FSIZE, before)
        await sender.drain(60.0)
    assert metric(supervisor, "biotrain_store_ok") == 1
    assert_all_stored_once(supervisor.store, sender.log)
    assert supervisor.log().count("the database does not take messages") == 1


@pytest.mark.slow
async def test_devices_with_one_name_and_clocks_years_off_are_told_once(
    mosquitto: Mosquitto, supervisor: SupervisorProcess
) -> None:
    first, second = Story(seed=1), Story(seed=2)
    mine = list(first.days(6, accuracy=0.9, frozen=0.9))
    # The story's clock stands years from the supervisor's, or months: more than the day that is let pass.
    other = list(second.days(6, accuracy=0.2, frozen=0.2))
    async with SenderWithLog(mosquitto.port) as sender:
        await sender.broker.next_connection()
        await sender.send(mine)
        await sender.drain()
        for one in other:
            await sender.broker.publish(one.topic, one.payload)
        conflicts = partial(metric, supervisor, "biotrain_messages_conflicts_total")
        await asyncio.to_thread(until, lambda: conflicts() == len(other))
    assert_all_stored_once(supervisor.store, mine)
    assert metric(supervisor, "biotrain_messages_clock_off_total") == len(mine) + len(other)
    log = supervisor.log()
    assert log.count("given out twice") == len({one.topic for one in other})
    assert log.count("the clock of a device") == 1


@pytest.mark.slow
def test_tokens_without_the_role_are_counted_and_told_once(tmp_path: Path, mosquitto: Mosquitto) -> None:
    supervisor = SupervisorProcess(tmp_path, mosquitto.address, "--admin-token", "a-token-for-tests")
    supervisor.start()
    try:
        admin = {"Authorization": "Bearer a-token-for-tests"}
        made = httpx.post(f"{supervisor.url}/api/tokens", headers=admin, json={"name": "reader", "role": "read"})
        reader = {"Authorization": f"Bearer {made.json()['token']}"}
        for _ in range(3):
            address = f"{supervisor.url}/api/devices/lab/band-1/commands"
            assert httpx.post(address, headers=reader, json={}).status_code == 403
            assert httpx.get(address, headers={"Authorization": "Bearer guessed"}).status_code == 401
            assert httpx.get(address).status_code == 401
            assert httpx.get(address, headers={"Origin": "http://elsewhere"}).status_code == 403
            assert httpx.post(f"{supervisor.url}/api/session", json={"token": "guessed"}).status_code == 401
        refused = partial(metric, supervisor, "biotrain_requests_refused_total", admin)
        assert httpx.get(f"{supervisor.url}/api/alerts?limit=many", headers=admin).status_code == 422
        answered = partial(metric, supervisor, "biotrain_http_responses_total", admin)
        assert [answered(code=code) for code in ("401", "403", "422")] == [9, 6, 1]
        assert [refused(reason=one) for one in ("role", "unknown_token", "no_token", "other_origin")] == [3, 6, 3, 3]
    finally:
        supervisor.stop()
    log = supervisor.log()
    assert log.count("a request is refused") == 5, "each kind once; a guessed token at two doors"
    assert "guessed" not in log
    assert made.json()["token"] not in log


async def test_a_webhook_that_answers_500_for_an_hour_gets_the_alert_once_it_is_well(
    tmp_path: Path,
    mosquitto: Mosquitto,
    receiver: Receiver,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = now = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

    def clock() -> datetime:
        return now

    for module in ("service.alert_desk", "service.store.deliveries"):
        monkeypatch.setattr(f"{module}.utc_now", clock)
    receiver.status = 500
    url = receiver.url
    settings = BrokerSettings(port=mosquitto.port, client_id="desk")
    with capture_logs() as log:
        async with Database(f"sqlite:///{tmp_path / 'store.db'}") as database, Broker(settings) as broker:
            batch = Batch([arrived(Story().drift(), start)])
            await database.in_writer_thread(partial(write_batch, batch=batch, channels=Channels((), (url,))))
            desk = AlertDesk(database, broker, [], [make_webhook(url, None, 5.0)])
            task = asyncio.create_task(desk.run())
            try:
                async with asyncio.timeout(30):
                    while not desk.counts.get((url, "done")):
                        await asyncio.sleep(0.02)
                        due = await deliveries.next_due(database, url)
                        tried = sum(desk.counts.get((url, outcome), 0) for outcome in ("retried", "done"))
                        if due is None or tried < len(receiver.got):
                            continue  # an attempt is under way: its lease is no pause
                        now = max(now, due)
                        receiver.status = 200 if now >= start + timedelta(hours=1) else 500
                        desk.wake()
            finally:
                task.cancel()
                await asyncio.wait((task,))
    posts = [headers["webhook-id"] for headers, _ in receiver.got]
    assert timedelta(hours=1) <= now - start <= timedelta(hours=2.5)
    assert 8 <= len(posts) <= 16
    assert len(set(posts)) == 1, "the same event, under the same id"
    assert desk.counts[url, "retried"] == len(posts) - 1
    assert [one["event"] for one in log].count("a webhook is tried again") == 1
