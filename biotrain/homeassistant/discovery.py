"""MQTT discovery messages for one device: what Home Assistant shows, and where it reads it. Pure.

Topics and words are those of https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery. Nothing new is published
for it but these messages: its sensors read the topics that the device has anyway.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from schemas.alert import AlertRule
from schemas.command import Command, Verb
from schemas.state import DeviceState, State
from schemas.topics import DeviceTopic, Kind

_URL = "https://arxiv.org/abs/2604.13359"
_PERIOD_S = 60
"""Telemetry that is older is shown as unknown."""


def discovery(state: State, prefix: str, version: str, *, commands: bool) -> dict[str, bytes]:
    """Topic -> retained payload. `commands` adds buttons, for whoever may publish to the device."""
    site, device = state.site, state.device
    node = _safe(f"biotrain_{site}_{device}")

    def topic(kind: Kind) -> str:
        return str(DeviceTopic(site, device, kind))

    shared: dict[str, Any] = {
        "device": {
            "identifiers": [node],
            "name": device,
            "manufacturer": "biotrain",
            "model": state.model or "wearable",
            "suggested_area": site,
        },
        "origin": {"name": "biotrain", "sw_version": version, "support_url": _URL},
        "availability": [
            {
                "topic": topic(Kind.STATE),
                "value_template": f"{{{{ 'offline' if value_json.state == '{DeviceState.OFFLINE}' else 'online' }}}}",
            }
        ],
        "qos": 1,
    }
    made: dict[str, bytes] = {}
    for component, name, fields in (*_sensors(topic), *_alerts(topic), *(_buttons(site, device) if commands else ())):
        identity = _safe(f"{node}_{name}")
        config = {"name": name, "unique_id": identity, **shared, **fields}
        made[f"{prefix}/{component}/{node}/{_safe(name)}/config"] = json.dumps(config).encode()
    return made


Entity = tuple[str, str, dict[str, Any]]


def _sensors(topic: Any) -> Iterator[Entity]:
    telemetry, health = topic(Kind.TELEMETRY), topic(Kind.HEALTH)
    percent = {"unit_of_measurement": "%", "state_class": "measurement", "suggested_display_precision": 1}
    yield "sensor", "State", {
        "state_topic": topic(Kind.STATE), "value_template": "{{ value_json.state }}",
        "device_class": "enum", "options": [str(state) for state in DeviceState],
    }  # fmt: skip
    yield "sensor", "Accuracy", {
        "state_topic": telemetry, "expire_after": _PERIOD_S, **percent,
        "value_template": "{{ 100 * value_json.correct / value_json.labelled if value_json.labelled else this.state }}",
    }  # fmt: skip
    yield "sensor", "Confidence", {
        "state_topic": telemetry, "expire_after": _PERIOD_S, **percent,
        "value_template": "{{ 100 * value_json.confidence_mean if 'confidence_mean' in value_json else this.state }}",
    }  # fmt: skip
    yield "sensor", "Weights version", {
        "state_topic": telemetry, "value_template": "{{ value_json.weights_version }}",
        "entity_category": "diagnostic",
    }  # fmt: skip
    yield "sensor", "Battery", {
        "state_topic": health, "device_class": "battery", **percent, "entity_category": "diagnostic",
        "value_template": "{{ 100 * value_json.wearable.battery if 'battery' in value_json.wearable else this.state }}",
    }  # fmt: skip
    yield "binary_sensor", "Wearable", {
        "state_topic": health, "device_class": "connectivity", "payload_on": "on", "payload_off": "off",
        "value_template": "{{ 'on' if value_json.wearable.connected else 'off' }}", "entity_category": "diagnostic",
    }  # fmt: skip
    yield "sensor", "Last adaptation", {
        "state_topic": topic(Kind.ADAPTATION), "value_template": "{{ value_json.phase }}",
    }  # fmt: skip


def _alerts(topic: Any) -> Iterator[Entity]:
    """Each rule is a problem that comes and goes; other rules' messages leave it as it is."""
    for rule in (AlertRule.DRIFT, AlertRule.SENSOR_FAULT, AlertRule.LOW_BATTERY):
        name = str(rule).replace("_", " ").capitalize()
        problem = (
            f"{{% if value_json.rule == '{rule}' %}}"
            "{{ 'off' if value_json.state == 'resolved' else 'on' }}"
            "{% else %}{{ this.state }}{% endif %}"
        )
        yield "binary_sensor", name, {
            "state_topic": topic(Kind.ALERT), "device_class": "problem", "payload_on": "on", "payload_off": "off",
            "value_template": problem,
        }  # fmt: skip


def _buttons(site: str, device: str) -> Iterator[Entity]:
    """A command is taken up once by its id: Home Assistant makes a new one of the time at each press."""
    for verb, name in ((Verb.ADAPT, "Adapt now"), (Verb.ROLL_BACK, "Roll back")):
        command = Command(site=site, device=device, command_id="ID", verb=verb, issued_by="Home Assistant")
        body = json.loads(command.to_json())
        body |= {"command_id": "ha-{{ (now().timestamp() * 1000) | int }}", "time": "{{ utcnow().isoformat() }}"}
        yield "button", name, {
            "command_topic": str(DeviceTopic(site, device, Kind.COMMAND)), "command_template": json.dumps(body),
        }  # fmt: skip


def _safe(name: str) -> str:
    """Ids of Home Assistant have letters, digits, _ and -."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name.replace(" ", "_")).lower()
