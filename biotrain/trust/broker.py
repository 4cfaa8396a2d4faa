"""Mosquitto's configuration for a site: TLS, a certificate for everybody, and the access list."""

from __future__ import annotations

from pathlib import Path

from biotrain.broker.mosquitto import LIMITS
from biotrain.trust.authority import ACCESS, REVOKED, SERVER_CERTIFICATE, SERVER_KEY
from messaging.identity import CA_FILE
from schemas.errors import UserError


def configuration(
    folder: Path,
    *,
    devices: tuple[str, int],
    supervisors: tuple[str, int] | None,
    state_dir: Path | None,
    user: str | None = None,
) -> str:
    """`folder` holds the broker's files as the broker will find them.

    At the devices' listener a client's id is the name of its certificate, so that no device can throw another one off
    the broker by taking its id. A supervisor has two connections and ids of its own choice: it has a listener of its
    own, which is best kept where devices do not reach it (loopback by default).
    """
    for name in (CA_FILE, SERVER_CERTIFICATE, SERVER_KEY, REVOKED, ACCESS):
        if not (folder / name).is_file():
            raise UserError(
                f"{folder / name} is missing: make it with `biotrain certs issue broker NAME --host HOST`, "
                "and name the authority's folder `broker`"
            )
    lines = ["# Written by `biotrain certs mosquitto`."]
    if user is not None:
        lines.append(f"user {user}")
    lines += ["allow_anonymous false", f"acl_file {folder / ACCESS}", *LIMITS]
    if state_dir is not None:
        lines += ["persistence true", f"persistence_location {state_dir}/", "autosave_interval 30"]
    lines += ["log_dest stderr", "log_dest topic", "log_type error", "log_type warning", "log_type notice"]
    lines += [*_listener(folder, *devices), "use_username_as_clientid true"]
    if supervisors is not None:
        lines += _listener(folder, *supervisors)
    return "\n".join(lines) + "\n"


def _listener(folder: Path, host: str, port: int) -> list[str]:
    return [
        "",
        f"listener {port} {host}",
        f"cafile {folder / CA_FILE}",
        f"certfile {folder / SERVER_CERTIFICATE}",
        f"keyfile {folder / SERVER_KEY}",
        f"crlfile {folder / REVOKED}",
        "tls_version tlsv1.2",
        "require_certificate true",
        "use_identity_as_username true",
    ]
