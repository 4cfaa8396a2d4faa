"""Who may write and read which topics, as access lists of Mosquitto and EMQX: entries for each holder, nothing for
others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from schemas.principal import Principal, Role
from schemas.topics import FROM_DEVICE, PREFIX, TO_DEVICE, UNNUMBERED, DeviceTopic, Kind

#: Where supervisors find out about each other (`service/presence.py`).
_SUPERVISORS = "biotrain/supervisors/#"
#: Whom the broker has turned away (`service/broker_log.py`).
_BROKER_LOG = "$SYS/broker/log/+"
_BY_DEVICE = (*FROM_DEVICE, *UNNUMBERED)
#: State and report it only takes away, when a device is erased.
_BY_SUPERVISOR = (*TO_DEVICE, Kind.ALERT, Kind.STATE, Kind.REPORTED)


def access_list(site: str, holders: Iterable[Principal]) -> str:
    """Names, not patterns: a revoked holder stands there no longer, and loses all rights in a connection that is up."""
    lines = [f"# Who may do what at the broker of {site}. Written by `biotrain certs`; changes here are lost."]
    for holder in holders:
        if holder.role is Role.BROKER:
            continue
        lines += ["", f"user {holder}", *(f"topic {access} {topic}" for access, topic in _rules(site, holder))]
    return "\n".join(lines) + "\n"


def emqx_access_list(site: str, holders: Iterable[Principal]) -> str:
    """The same as rules of EMQX's `acl.conf`; a client's user is its certificate's common name."""
    actions = {"write": "publish", "read": "subscribe", "readwrite": "all"}
    lines = [f"%% Who may do what at the broker of {site}. Written by `biotrain certs`; changes here are lost."]
    for holder in holders:
        if holder.role is Role.BROKER:
            continue
        topics: dict[str, list[str]] = {}
        for access, topic in _rules(site, holder):
            topics.setdefault(actions[access], []).append(f'"{topic}"')
        lines += [
            f'{{allow, {{username, "{holder}"}}, {action}, [{", ".join(named)}]}}.' for action, named in topics.items()
        ]
    return "\n".join([*lines, "{deny, all}."]) + "\n"


def _rules(site: str, holder: Principal) -> Iterator[tuple[str, str]]:
    every_group = f"{PREFIX}/{site}/group/+/{Kind.COMMAND}"
    match holder.role:
        case Role.DEVICE:
            for kind in _BY_DEVICE:
                yield "write", str(DeviceTopic(site, holder.name, kind))
            for kind in TO_DEVICE:
                yield "read", str(DeviceTopic(site, holder.name, kind))
            yield "read", every_group
        case Role.SUPERVISOR:
            for kind in _BY_DEVICE:
                yield "read", f"{PREFIX}/{site}/+/{kind}"
            for kind in _BY_SUPERVISOR:
                yield "write", f"{PREFIX}/{site}/+/{kind}"
            yield "write", every_group
            yield "readwrite", _SUPERVISORS
            yield "read", _BROKER_LOG
        case Role.VIEWER:
            for kind in (*_BY_DEVICE, Kind.ALERT):
                yield "read", f"{PREFIX}/{site}/+/{kind}"
