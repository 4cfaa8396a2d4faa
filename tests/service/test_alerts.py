"""Which messages raise an alert."""

from __future__ import annotations

import asyncio

from messaging import Broker, BrokerSettings
from schemas.adaptation import Phase
from schemas.alert import Alert, AlertRule, AlertState, Severity
from schemas.base import Sequenced
from schemas.topics import DeviceTopic, Kind
from service import alerts
from tests.brokers import Mosquitto
from tests.service.devices import SenderWithLog
from tests.service.story import Story
from tests.supervisors import SupervisorProcess


def alert_for(message: Sequenced) -> Alert | None:
    raised = alerts.alert_for(message)
    return None if raised is None else raised.alert


def test_a_drift_alert_is_told_with_its_figures() -> None:
    alert = alert_for(Story().drift().message)
    assert alert is not None
    assert (alert.rule, alert.severity, alert.wearer, alert.seq) == (AlertRule.DRIFT, Severity.WARNING, "U1", 1)
    assert "page-hinkley on error" in alert.message
    assert "accuracy fell from 91% to 55%" in alert.message


def test_a_rollback_is_told_with_its_reason_and_a_commit_is_not() -> None:
    story = Story()
    committed = [alert_for(published.message) for published in story.adapt(committed=True)]
    rolled_back = [alert_for(published.message) for published in story.adapt(committed=False)]
    assert committed == [None] * len(committed)
    (alert,) = [alert for alert in rolled_back if alert is not None]
    assert alert.rule is AlertRule.ADAPTATION_ROLLED_BACK
    assert "not better on the held-out windows" in alert.message


def test_a_failed_adaptation_is_critical() -> None:
    started = next(iter(Story().adapt(committed=True))).message
    alert = alert_for(started.model_copy(update={"phase": Phase.FAILED, "reason": "link lost"}))
    assert alert is not None
    assert (alert.rule, alert.severity) == (AlertRule.ADAPTATION_FAILED, Severity.CRITICAL)
    assert alert.message.endswith("failed: link lost")


def test_a_fault_is_told_when_it_begins_and_not_when_it_passes() -> None:
    story = Story()
    alert = alert_for(story.fault(active=True).message)
    assert alert is not None
    assert alert.message == "Flat line on ch2: no change for 1.2 s"
    assert alert_for(story.fault(active=False).message) is None


def test_the_daily_round_raises_nothing() -> None:
    assert [alert_for(one.message) for one in Story().days(20, accuracy=0.9, frozen=0.9)] == [None] * 22


async def test_alerts_are_published_on_the_topic_of_their_device(
    mosquitto: Mosquitto, supervisor: SupervisorProcess
) -> None:
    topic = str(DeviceTopic("lab", "band-1", Kind.ALERT))
    async with Broker(BrokerSettings(port=mosquitto.port, client_id="operator"), subscriptions=[topic]) as operator:
        await operator.next_connection()
        async with SenderWithLog(mosquitto.port) as sender, asyncio.timeout(10):
            await sender.broker.next_connection()
            await sender.send(Story().whole())
            rules: list[AlertRule] = []
            while len(rules) < 3:
                (delivery,) = await operator.receive()
                delivery.acknowledge()
                alert = Alert.model_validate_json(delivery.payload)
                if alert.state is AlertState.OPEN:
                    rules.append(alert.rule)
    assert rules == [AlertRule.DRIFT, AlertRule.SENSOR_FAULT, AlertRule.ADAPTATION_ROLLED_BACK]
