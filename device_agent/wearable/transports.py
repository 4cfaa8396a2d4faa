"""The ways to a wearable. To add one: a file that implements `Transport` and has `from_address`, a line here and in
docs/link-protocol.md, and a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from device_agent.wearable.transport import Transport
from schemas.errors import UserError


@dataclass(frozen=True, slots=True)
class Scheme:
    """What stands in front of `://`, and who understands what stands behind it."""

    module: str
    example: str


SCHEMES = {
    "tcp": Scheme("device_agent.wearable.tcp", "tcp://HOST:PORT"),
    "serial": Scheme("device_agent.wearable.serial_line", "serial:///dev/ttyACM0"),
    "ble": Scheme("device_agent.wearable.ble", "ble://NAME-OR-ADDRESS"),
}


def transport(address: str) -> Transport:
    """The transport of an address; nothing is opened yet. Raises UserError for an address that cannot be."""
    name, _, rest = address.partition("://")
    scheme = SCHEMES.get(name)
    if scheme is None or not rest:
        known = ", ".join(each.example for each in SCHEMES.values())
        raise UserError(
            f"{address!r} is no address of a wearable or board: write {known}, or local for a wearable in this process"
        )
    # a transport's packages are loaded when it is used
    from_address = cast(Callable[[str], Transport], import_module(scheme.module).from_address)
    return from_address(rest)
