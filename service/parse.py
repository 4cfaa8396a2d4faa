"""From what the broker delivers to what the database takes: a checked message, or a poison one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache

from messaging import Delivery
from schemas.base import Sequenced
from schemas.desired import Reported
from schemas.messages import MessageError, parse_message
from schemas.plan_push import Fetch
from schemas.state import State
from schemas.topics import RETAINED, DeviceTopic, TopicError
from service.store.batch import Arrived, Key, Poison

_LARGEST = 2**63 - 1


@lru_cache(maxsize=100_000)
def _topic(topic: str) -> DeviceTopic:
    """A device's topics are few, and come again and again."""
    return DeviceTopic.parse(topic)


def parse_delivery(
    delivery: Delivery, received: datetime, on_unknown: Callable[[Sequence[str]], None] | None = None
) -> Arrived | Poison | Reported | Fetch | None:
    """None for an empty retained message: it takes away what the broker kept, after a device was erased.

    `on_unknown` hears the names of fields that this version does not know."""
    try:
        topic = _topic(delivery.topic)
        if not delivery.payload and topic.kind in RETAINED:
            return None
        message = parse_message(topic, delivery.payload, on_unknown)
        if isinstance(message, (Reported, Fetch)):
            return message
        if not isinstance(message, Sequenced):
            raise MessageError(f"{topic.kind} is not published by devices")
        if message.seq == 0 and not isinstance(message, State):
            raise MessageError("seq 0 is kept for the last will, which is a state")
    except (TopicError, MessageError) as error:
        return Poison(delivery.topic, delivery.payload, str(error), received)
    return Arrived(message, topic.kind, delivery.payload.decode(), received, delivery.retained)


def poison_key(poison: Poison) -> Key | None:
    """The number of a poison message, where it can be read: it is kept too, and its sender may forget it."""
    try:
        topic = DeviceTopic.parse(poison.topic)
        fields = json.loads(poison.payload)
        key = (fields["site"], fields["device"], fields["boot"], fields["seq"])
    except (TopicError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if key[:2] != (topic.site, topic.device):
        return None
    if not all(type(number) is int and 1 <= number <= _LARGEST for number in key[2:]):
        return None
    return key
