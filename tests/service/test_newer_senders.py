"""An agent one version newer than the supervisor: what it tells is taken in, what is unknown in it is left out."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from messaging import Delivery
from schemas.base import Sequenced
from schemas.command import Command, Reply, Verb
from schemas.messages import MODELS, SEQUENCED, MessageError, parse_message
from schemas.topics import DeviceTopic, Kind
from service.parse import parse_delivery
from service.store.batch import Arrived, Poison
from tests.brokers import Mosquitto
from tests.service.devices import SenderWithLog
from tests.service.story import Published, Story
from tests.service.test_bad_input import metric
from tests.service.test_hooks import until
from tests.supervisors import SupervisorProcess

#: Objects whose keys are names of channels and classes, not fields.
_COUNTS = ("channel_faults", "predicted_classes")
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def newer(published: Published) -> Published:
    """The same message with a field at the top, and one in each object and each list of objects below."""

    def added(value: Any) -> Any:
        if isinstance(value, list):
            return [added(one) for one in value]
        if isinstance(value, dict):
            below = {name: one if name in _COUNTS else added(one) for name, one in value.items()}
            return {**below, "from_next_year": {"a": [1, None]}}
        return value

    return replace(published, payload=json.dumps(added(json.loads(published.payload))).encode())


def parsed(published: Published, names: list[str] | None = None) -> object:
    delivery = Delivery(published.topic, published.payload, qos=1, acknowledge=lambda: True)
    return parse_delivery(delivery, NOW, None if names is None else names.extend)


def test_every_kind_that_devices_number_is_read_as_if_the_unknown_fields_were_not_there() -> None:
    seen: set[type[Sequenced]] = set()
    for published in Story().whole():
        names: list[str] = []
        plain, told = parsed(published), parsed(newer(published), names)
        assert isinstance(plain, Arrived)
        assert isinstance(told, Arrived)
        assert told.message == plain.message
        assert "from_next_year" in told.payload, "what is kept is what came"
        assert "from_next_year" in names
        seen.add(type(told.message))
    assert seen == set(SEQUENCED.values()) - {Reply}, "nobody commands in this story"


def test_a_wrong_value_beside_an_unknown_field_is_still_refused_and_named() -> None:
    telemetry = next(one for one in Story().whole() if one.topic.endswith("/telemetry"))
    for field, value, word in (("windows", -1, "windows"), ("schema", "biotrain.telemetry/2", "schema is")):
        payload = {**json.loads(telemetry.payload), "from_next_year": 1, field: value}
        found = parsed(replace(telemetry, payload=json.dumps(payload).encode()))
        assert isinstance(found, Poison)
        assert word in found.reason


def test_an_order_with_an_unknown_field_is_refused_whole() -> None:
    """It may be what limits the order: `only_when_charging` left out is another order."""
    order = json.loads(Command(site="lab", device="band-1", command_id="c-1", verb=Verb.ADAPT).to_json())
    topic = DeviceTopic("lab", "band-1", Kind.COMMAND)
    assert parse_message(topic, json.dumps(order).encode()).device == "band-1"
    with pytest.raises(MessageError, match="only_when_charging"):
        parse_message(topic, json.dumps({**order, "only_when_charging": True}).encode())


def test_what_is_sent_is_as_strict_as_ever() -> None:
    for model in MODELS.values():
        assert model.model_config["extra"] == "forbid"


@pytest.mark.slow
async def test_a_running_supervisor_stores_counts_and_names_them_once(
    mosquitto: Mosquitto, supervisor: SupervisorProcess
) -> None:
    async with SenderWithLog(mosquitto.port) as sender:
        await sender.broker.next_connection()
        await sender.send([newer(one) for one in Story().whole()])
        await sender.drain()
    counted = partial(metric, supervisor, "biotrain_messages_unknown_fields_total")
    await asyncio.to_thread(until, lambda: counted() >= len(sender.log))
    stats = supervisor.get("/api/stats")
    assert (stats["stored"], stats["quarantined"]) == (len(sender.log), 0)
    (device,) = supervisor.get("/api/devices")["items"]
    path = f"/api/devices/{device['site']}/{device['device']}"
    assert supervisor.get(path)["health"]["last_seq"] > 0
    assert supervisor.log().count("fields that this version does not know") <= 5
