"""A port that is free, and the line that says where the broker listens."""

from __future__ import annotations

import errno
import json
import socket

from schemas.errors import UserError


def choose_port(host: str, port: int) -> tuple[str, int]:
    """The address to listen on, a free port for 0. Raises UserError when it is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise UserError(
                    f"port {port} of {host} is in use, perhaps by another broker: "
                    "stop it, use it, or choose another port with --listen"
                ) from None
            raise UserError(
                f"cannot listen on {host}:{port} ({error.strerror or error}): name an address of this machine"
            ) from None
        return host, int(probe.getsockname()[1])


def ready_line(host: str, port: int, *, engine: str, as_json: bool, supervisors: tuple[str, int] | None = None) -> str:
    """What `biotrain broker` prints once it listens: a sentence, or one JSON object."""
    address = _written(host, port)
    if as_json:
        more = {} if supervisors is None else {"supervisors": _written(*supervisors)}
        return json.dumps({"ready": True, "address": address, "engine": engine} | more)
    if supervisors is not None:
        return f"MQTT broker ({engine}, TLS) at {address}, for supervisors at {_written(*supervisors)}"
    return f"MQTT broker ({engine}) at {address}"


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
