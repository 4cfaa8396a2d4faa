"""Outlets by address: one line for each kind."""

from __future__ import annotations

from collections.abc import Callable

from device_agent.outlets.outlet import Outlet
from schemas.errors import UserError


def _websocket(rest: str) -> Outlet:
    from device_agent.outlets.websocket import WebsocketOutlet

    host, _, port = rest.removeprefix("//").rpartition(":")
    if not (rest.startswith("//") and host and port.isdigit() and int(port) < 65536):
        raise UserError(f"--predictions ws:{rest}: write ws://HOST:PORT, e.g. ws://127.0.0.1:8765")
    return WebsocketOutlet(host.strip("[]"), int(port))


def _lsl(rest: str) -> Outlet:
    from device_agent.outlets.lsl import LslOutlet

    if not rest:
        raise UserError("--predictions lsl: write lsl:NAME, the name of the stream that is to appear")
    return LslOutlet(rest)


#: To add an outlet: one file, and one line here.
OUTLETS: dict[str, Callable[[str], Outlet]] = {"ws": _websocket, "lsl": _lsl}


def open_outlet(address: str) -> Outlet:
    """Raises UserError for an address that cannot be."""
    scheme, _, rest = address.partition(":")
    if scheme not in OUTLETS:
        raise UserError(f"--predictions {address!r} is not known: write ws://HOST:PORT or lsl:NAME")
    return OUTLETS[scheme](rest)
