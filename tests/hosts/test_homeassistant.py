"""Home Assistant discovery: an outside model of its schema takes it, its templates read our messages as they are."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import Environment, StrictUndefined

from biotrain.homeassistant.discovery import discovery
from messaging import Broker, BrokerSettings
from schemas.adaptation import Adaptation
from schemas.alert import Alert, AlertRule, AlertState, Severity
from schemas.command import Command
from schemas.health import Health, WearableHealth
from schemas.state import DeviceState, State
from schemas.telemetry import Telemetry
from tests.brokers import Mosquitto, running_mosquitto
from tests.service.story import Story, publish_form

NAMES = {"site": "lab", "device": "band.1", "boot": 1, "seq": 1}
#: Of https://www.home-assistant.io/integrations/mqtt: every MQTT entity, and each kind's own.
EVERY = {"name", "unique_id", "device", "origin", "availability", "qos", "entity_category", "device_class"}
OWN = {
    "sensor": {
        "state_topic",
        "value_template",
        "unit_of_measurement",
        "state_class",
        "suggested_display_precision",
        "options",
        "expire_after",
    },
    "binary_sensor": {"state_topic", "value_template", "payload_on", "payload_off"},
    "button": {"command_topic", "command_template"},
}


def state(**more: Any) -> State:
    return State(**{**NAMES, "state": DeviceState.ONLINE, **more})


def configs(*, commands: bool = True) -> dict[str, dict[str, Any]]:
    return {topic: json.loads(payload) for topic, payload in discovery(state(), "ha", "1.0", commands=commands).items()}


def rendered(template: str, message: bytes, known: str = "as before") -> str:
    """As Home Assistant renders it: Jinja2, with the message and the entity's state so far."""
    environment = Environment(undefined=StrictUndefined)  # noqa: S701  no HTML
    this = SimpleNamespace(state=known)
    return environment.from_string(template).render(value_json=json.loads(message), this=this)


def by_name(name: str) -> dict[str, Any]:
    return next(config for config in configs().values() if config["name"] == name)


def test_every_message_is_what_home_assistants_documentation_allows() -> None:
    made = configs()
    assert len({config["unique_id"] for config in made.values()}) == len(made)
    for topic, config in made.items():
        prefix, component, node, name, last = topic.split("/")
        assert (prefix, last) == ("ha", "config")
        assert all(part.replace("_", "").replace("-", "").isalnum() for part in (node, name)), topic
        assert set(config) <= EVERY | OWN[component], topic
        assert set(config["origin"]) <= {"name", "sw_version", "support_url"}
    assert not any("/button/" in topic for topic in configs(commands=False))


def test_an_outside_model_of_the_discovery_schema_takes_every_message() -> None:
    outside = pytest.importorskip("ha_mqtt_discoverable.sensors")
    kinds = {"sensor": outside.SensorInfo, "binary_sensor": outside.BinarySensorInfo, "button": outside.ButtonInfo}
    for topic, config in configs().items():
        read = kinds[topic.split("/")[1]].model_validate(config)
        assert read.device.identifiers == ["biotrain_lab_band_1"]
        assert read.unique_id == config["unique_id"]


def test_templates_read_what_devices_really_say() -> None:
    telemetry = next(told for told in Story().whole() if isinstance(told.message, Telemetry)).message
    assert isinstance(telemetry, Telemetry)
    accuracy = float(rendered(by_name("Accuracy")["value_template"], telemetry.to_json()))
    assert accuracy == pytest.approx(100 * telemetry.correct / telemetry.labelled)
    unlabelled = telemetry.model_copy(update={"labelled": 0, "correct": 0})
    assert rendered(by_name("Accuracy")["value_template"], unlabelled.to_json()) == "as before"
    assert rendered(by_name("Confidence")["value_template"], telemetry.to_json())
    version = rendered(by_name("Weights version")["value_template"], telemetry.to_json())
    assert version == str(telemetry.weights_version)
    health = Health(**NAMES, uptime_s=1, last_seq=1, outbox=0, wearable=WearableHealth(connected=True, battery=0.42))
    assert float(rendered(by_name("Battery")["value_template"], health.to_json())) == pytest.approx(42)
    assert rendered(by_name("Wearable")["value_template"], health.to_json()) == "on"
    adapted = [told.message for told in Story().whole() if isinstance(told.message, Adaptation)]
    assert rendered(by_name("Last adaptation")["value_template"], adapted[-1].to_json()) == str(adapted[-1].phase)
    (availability,) = by_name("State")["availability"]
    assert rendered(availability["value_template"], state().to_json()) == "online"
    assert rendered(availability["value_template"], state(state=DeviceState.OFFLINE).to_json()) == "offline"


def test_a_rules_alert_comes_and_goes_and_other_rules_leave_it_as_it_is() -> None:
    drift = by_name("Drift")["value_template"]

    def told(rule: AlertRule, now: AlertState) -> bytes:
        alert = Alert(**NAMES, alert_id="a", rule=rule, severity=Severity.WARNING, state=now, message="m")
        return alert.to_json()

    assert rendered(drift, told(AlertRule.DRIFT, AlertState.OPEN)) == "on"
    assert rendered(drift, told(AlertRule.DRIFT, AlertState.ACKNOWLEDGED)) == "on"
    assert rendered(drift, told(AlertRule.DRIFT, AlertState.RESOLVED)) == "off"
    assert rendered(drift, told(AlertRule.LOW_BATTERY, AlertState.OPEN), known="on") == "on"


def test_a_button_sends_a_command_that_the_device_takes_with_a_new_id_each_time() -> None:
    from datetime import UTC, datetime, timedelta

    template = by_name("Adapt now")["command_template"]
    pressed = []
    for second in (0, 1):
        at = datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(seconds=second)
        text = Environment(undefined=StrictUndefined).from_string(template).render(now=lambda: at, utcnow=lambda: at)  # noqa: B023,S701
        pressed.append(Command.model_validate_json(text))
    assert pressed[0].verb == "adapt"
    assert pressed[0].command_id != pressed[1].command_id
    assert by_name("Adapt now")["command_topic"] == "biotrain/v1/lab/band.1/command"


@pytest.mark.slow
async def test_mosquitto_sub_finds_the_devices_that_were_there_before_and_removes_them_again(tmp_path) -> None:
    subscriber = shutil.which("mosquitto_sub")
    if subscriber is None:
        pytest.skip("mosquitto_sub is not installed")
    with running_mosquitto(tmp_path) as mosquitto:
        async with Broker(BrokerSettings(port=mosquitto.port, client_id="device")) as device:
            await device.next_connection()
            told = publish_form(state(device="band-1"))
            await device.publish(told.topic, told.payload, retain=True)
        found = await asyncio.to_thread(run_announcer, mosquitto)
        assert found == {"device": "lab/band-1", "announced": 10}
        words = [subscriber, "-p", str(mosquitto.port), "-t", "homeassistant/#", "-v", "-W", "1"]
        lines = (await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, check=False)).stdout
        heard = [line.split(" ", 1) for line in lines.splitlines()]
        assert len(heard) == 10
        assert all(json.loads(payload)["device"]["name"] == "band-1" for _, payload in heard)
        assert (await asyncio.to_thread(run_announcer, mosquitto, "--remove"))["removed"] == 10
        left = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, check=False)
        assert left.stdout == ""


def run_announcer(mosquitto: Mosquitto, *more: str) -> dict[str, Any]:
    """Its first line; then it is stopped as a person would."""
    words = [sys.executable, "-m", "biotrain", "homeassistant", "--broker", mosquitto.address, "--json", *more]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    process.terminate()
    assert process.wait(timeout=20) == 0
    process.stdout.close()
    return json.loads(line)
