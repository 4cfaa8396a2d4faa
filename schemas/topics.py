"""`biotrain/v1/<site>/<device>/<kind>` and `biotrain/v1/<site>/group/<name>/command`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

PREFIX = "biotrain/v1"
#: The group that every device of a site belongs to.
EVERY_DEVICE = "all"
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")


class Kind(StrEnum):
    """The last level of a device's topic."""

    STATE = "state"
    TELEMETRY = "telemetry"
    DRIFT = "drift"
    ADAPTATION = "adaptation"
    FAULT = "fault"
    HEALTH = "health"
    ALERT = "alert"
    COMMAND = "command"
    REPLY = "reply"
    DESIRED = "desired"
    REPORTED = "reported"
    STORED = "stored"
    FETCH = "fetch"
    PART = "part"


#: Kinds that a device publishes through its outbox, in the order of a fleet page.
FROM_DEVICE = (Kind.STATE, Kind.TELEMETRY, Kind.DRIFT, Kind.ADAPTATION, Kind.FAULT, Kind.HEALTH, Kind.REPLY)
#: What a device publishes besides, unnumbered: it is said again until it has been answered.
UNNUMBERED = (Kind.REPORTED, Kind.FETCH)
#: Kinds that are never thinned, whatever happens.
EVENTS = (Kind.STATE, Kind.DRIFT, Kind.ADAPTATION, Kind.FAULT, Kind.REPLY)
#: Kinds whose last message the broker keeps for newcomers.
RETAINED = (Kind.STATE, Kind.DESIRED, Kind.REPORTED)
#: Kinds that a device listens to.
TO_DEVICE = (Kind.COMMAND, Kind.DESIRED, Kind.STORED, Kind.PART)


class TopicError(ValueError):
    """A topic that is not ours, or a name that cannot be one level of a topic."""


@dataclass(frozen=True, slots=True)
class DeviceTopic:
    """One device's topic of one kind."""

    site: str
    device: str
    kind: Kind

    def __str__(self) -> str:
        for what, name in (("site", self.site), ("device", self.device)):
            if not _NAME.fullmatch(name):
                raise TopicError(f"{what} {name!r} cannot stand in a topic: use letters, digits, '.', '_', '-'")
        if self.device == "group":
            raise TopicError("'group' is no device name: that topic level is kept for groups")
        return f"{PREFIX}/{self.site}/{self.device}/{self.kind}"

    @classmethod
    def parse(cls, topic: str) -> DeviceTopic:
        """Raises TopicError, naming the level that is wrong."""
        levels = topic.split("/")
        if len(levels) != 5 or "/".join(levels[:2]) != PREFIX:
            raise TopicError(f"topic {topic!r}: expected {PREFIX}/<site>/<device>/<kind>")
        try:
            kind = Kind(levels[4])
        except ValueError:
            raise TopicError(f"topic {topic!r}: unknown kind {levels[4]!r}") from None
        parsed = cls(levels[2], levels[3], kind)
        str(parsed)
        return parsed


@dataclass(frozen=True, slots=True)
class GroupTopic:
    """Where commands to all devices of a group are published."""

    site: str
    group: str

    def __str__(self) -> str:
        for what, name in (("site", self.site), ("group", self.group)):
            if not _NAME.fullmatch(name):
                raise TopicError(f"{what} {name!r} cannot stand in a topic: use letters, digits, '.', '_', '-'")
        return f"{PREFIX}/{self.site}/group/{self.group}/{Kind.COMMAND}"

    @classmethod
    def parse(cls, topic: str) -> GroupTopic:
        """Raises TopicError for any other topic."""
        levels = topic.split("/")
        parsed = cls(levels[2], levels[4]) if len(levels) == 6 else cls("", "")
        if not levels[-1:] == [Kind.COMMAND] or str(parsed) != topic:
            raise TopicError(f"topic {topic!r}: expected {PREFIX}/<site>/group/<name>/command")
        return parsed


def fleet_filter(kind: Kind, site: str = "+", *, share: str | None = None) -> str:
    """The subscription filter for one kind of every device of a site (or of all sites).

    With `share`, each message goes to one of those that subscribe under that name.
    """
    plain = f"{PREFIX}/{site}/+/{kind}"
    return plain if share is None else f"$share/{share}/{plain}"
