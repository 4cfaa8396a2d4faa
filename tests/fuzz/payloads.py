"""`python payloads.py RUNS SEED CORPUS`: libFuzzer, through atheris, over what supervisor and agent read from MQTT.

The first byte of an input chooses the topic, the rest is the payload. Half of the mutations are libFuzzer's own, the
others put odd values into the fields of a message. Ends otherwise than with 0 at the first exception that the parsers
do not promise, or at an input that takes too long. Only our own Python is instrumented: of pydantic's Rust the fuzzer
sees what comes out.
"""

from __future__ import annotations

import json
import random
import sys
from datetime import UTC, datetime
from types import FunctionType
from typing import Any

import atheris

import schemas.messages
import schemas.topics
import service.parse
from messaging.delivery import Delivery
from schemas.messages import MessageError
from schemas.topics import DeviceTopic, GroupTopic, Kind, TopicError

KINDS = list(Kind)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, 2**64, 10**400, 1e308, float("nan"), float("inf"), "", "\0", "\ud800", "a" * 3000, "../x",
    "lab", "band-1", "#", "+", [], {}, [[]], {"": {}}, "2026-01-01T00:00:00Z", "9999-12-31T23:59:59+23:59", "-1",
)  # fmt: skip


def one(data: bytes) -> None:
    """What the supervisor's ingest does with a payload, and what the agent's listener does."""
    if not data:
        return
    kind, payload = KINDS[data[0] % len(KINDS)], data[1:]
    topic = f"biotrain/v1/lab/band-1/{kind}"
    found = service.parse.parse_delivery(Delivery(topic, payload, qos=1, acknowledge=lambda: True), NOW)
    if isinstance(found, service.parse.Poison):
        assert found.reason, "a quarantined message has a reason"
        service.parse.poison_key(found)
    for read in (
        lambda: schemas.messages.parse_message(DeviceTopic.parse(topic), payload),
        lambda: schemas.messages.parse_group_command(GroupTopic.parse("biotrain/v1/lab/group/all/command"), payload),
    ):
        try:
            read()
        except (MessageError, TopicError) as error:
            assert str(error)


def mutate(data: bytes, largest: int, seed: int) -> bytes:
    rng = random.Random(seed)
    try:
        message = json.loads(data[1:])
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or not message or rng.random() < 0.5:
        return bytes(atheris.Mutate(data, largest))
    where = message
    while True:
        key = rng.choice(sorted(where))
        if isinstance(where[key], dict) and where[key] and rng.random() < 0.7:
            where = where[key]
            continue
        break
    match rng.randrange(4):
        case 0:
            del where[key]
        case 1:
            where[rng.choice(["schema", "seq", "x", key])] = where[key]
        case _:
            where[key] = rng.choice(ODD)
    return (data[:1] + json.dumps(message).encode())[:largest]


if __name__ == "__main__":
    runs, seed, corpus = sys.argv[1:]
    for module in (schemas.messages, schemas.topics, service.parse):
        for name, function in list(vars(module).items()):
            if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                setattr(module, name, atheris.instrument_func(function))
    words = [f"-runs={runs}", f"-seed={seed}", "-max_len=8192", "-timeout=10", "-len_control=0", corpus]
    atheris.Setup([sys.argv[0], *words], atheris.instrument_func(one), custom_mutator=mutate)
    atheris.Fuzz()
