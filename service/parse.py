"""From what the broker delivers to what the database takes: a checked message, or a poison one."""

from __future__ import annotations

import json
from datetime import datetime

from messaging import Delivery
from schemas.base import Sequenced
from schemas.messages import MessageError, parse_message
from schemas.state import State
from schemas.topics import DeviceTopic, TopicError
from service.store.batch import Arrived, Poison

#: (site, device, boot, seq)
Key = tuple[str, str, int, int]
_LARGEST = 2**63 - 1


def parse_delivery(delivery: Delivery, received: datetime) -> Arrived | Poison:
    try:
        topic = DeviceTopic.parse(delivery.topic)
        message = parse_message(topic, delivery.payload)
        if not isinstance(message, Sequenced):
            raise MessageError(f"{topic.kind} is not published by devices")
        if message.seq == 0 and not isinstance(message, State):
            raise MessageError("seq 0 is kept for the last will, which is a state")
    except (TopicError, MessageError) as error:
        return Poison(delivery.topic, delivery.payload, str(error), received)
    return Arrived(message, topic.kind, delivery.payload.decode(), received, retained=delivery.retained)


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
