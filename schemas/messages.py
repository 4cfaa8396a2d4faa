"""Which model a topic's payload must be, and the one way from bytes to a checked message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from pydantic import ValidationError

from schemas.adaptation import Adaptation
from schemas.alert import Alert
from schemas.base import MAX_PAYLOAD_BYTES, Document, Payload, Sequenced
from schemas.command import Command, GroupCommand, Reply
from schemas.desired import Desired, Reported
from schemas.drift import DriftAlert
from schemas.fault import Fault
from schemas.health import Health
from schemas.plan_push import Fetch, Part
from schemas.state import State
from schemas.stored import Stored
from schemas.telemetry import Telemetry
from schemas.topics import DeviceTopic, GroupTopic, Kind

SEQUENCED: dict[Kind, type[Sequenced]] = {
    Kind.STATE: State,
    Kind.TELEMETRY: Telemetry,
    Kind.DRIFT: DriftAlert,
    Kind.ADAPTATION: Adaptation,
    Kind.FAULT: Fault,
    Kind.HEALTH: Health,
    Kind.REPLY: Reply,
}
MODELS: dict[Kind, type[Document]] = {
    **SEQUENCED,
    Kind.ALERT: Alert,
    Kind.COMMAND: Command,
    Kind.STORED: Stored,
    Kind.DESIRED: Desired,
    Kind.REPORTED: Reported,
    Kind.FETCH: Fetch,
    Kind.PART: Part,
}


#: What tells, and orders nothing. A sender that is one version newer may add fields to these: who does not know them
#: leaves them out. An order is read whole or not at all, since an unknown field may be what limits it.
_TELLING: frozenset[type[Payload]] = frozenset((*SEQUENCED.values(), Reported, Fetch, Stored, Alert))

_Model = TypeVar("_Model", bound=Payload)


class MessageError(ValueError):
    """A payload that is not what its topic promises; says which field and why."""


def parse_message(
    topic: DeviceTopic, payload: bytes, on_unknown: Callable[[Sequence[str]], None] | None = None
) -> Document:
    """The checked message of a device topic.

    `on_unknown` hears the names of fields that a newer sender has added to what it tells; they are left out.
    Raises MessageError when it is too large, is not JSON, breaks its schema, or names another site or device than its
    topic.
    """
    model = MODELS.get(topic.kind)
    if model is None:
        raise MessageError(f"nothing is published on {topic.kind!s} in this version")
    message = _read(model, model.SCHEMA, payload, on_unknown)
    if (message.site, message.device) != (topic.site, topic.device):
        raise MessageError(f"payload names {message.site}/{message.device}, its topic {topic.site}/{topic.device}")
    return message


def parse_group_command(topic: GroupTopic, payload: bytes) -> GroupCommand:
    """As `parse_message`, for a group's topic."""
    command = _read(GroupCommand, GroupCommand.SCHEMA, payload)
    if (command.site, command.group) != (topic.site, topic.group):
        raise MessageError(f"payload names group {command.site}/{command.group}, its topic {topic.site}/{topic.group}")
    return command


def _read(
    model: type[_Model], schema: str, payload: bytes, on_unknown: Callable[[Sequence[str]], None] | None = None
) -> _Model:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise MessageError(f"payload has {len(payload)} bytes, at most {MAX_PAYLOAD_BYTES} are allowed")
    try:
        return model.model_validate_json(payload)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False, include_context=False)
    try:
        unknown = [one["loc"] for one in wrong if one["type"] == "extra_forbidden"]
        if model in _TELLING and len(unknown) == len(wrong):
            message = model.model_validate_json(payload, extra="ignore")
            if on_unknown is not None:
                on_unknown(sorted({_place(where) for where in unknown}))
            return message
    except ValidationError as error:  # what is wrong shows only once the fields are known: another schema, say
        wrong = error.errors(include_url=False, include_input=False, include_context=False)
    raise MessageError(f"{schema}: {_place(wrong[0]['loc']) or 'payload'}: {wrong[0]['msg']}")


def _place(parts: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in parts)
