"""Can the supervisor listen where it shall, or does it already?"""

from __future__ import annotations

import ipaddress

from biotrain.broker.port import choose_port
from biotrain.doctor.finding import Deployment, Finding, Verdict
from messaging.settings import parse_address
from schemas.errors import UserError


def check_ports(deployment: Deployment) -> list[Finding]:
    """Whether the page's port is free or a supervisor's, and who can reach it."""
    if deployment.listen is None:
        return [Finding("port", Verdict.SKIPPED, "no --listen given")]
    host, port = parse_address(deployment.listen, what="--listen", default_port=8000)
    try:
        choose_port(host, port)
    except UserError as error:
        if _is_supervisor(host, port):
            return [Finding("port", Verdict.OK, f"a supervisor answers at {host}:{port}"), *_exposure(host)]
        return [Finding("port", Verdict.FAILED, str(error), f"see who has it: ss -ltnp 'sport = :{port}'")]
    return [Finding("port", Verdict.OK, f"{host}:{port} is free"), *_exposure(host)]


def _is_supervisor(host: str, port: int) -> bool:
    import httpx

    written = f"[{host}]" if ":" in host else host
    try:
        return httpx.get(f"http://{written}:{port}/healthz", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def _exposure(host: str) -> list[Finding]:
    if is_loopback(host):
        return []
    detail = f"page and REST interface are served on {host} without TLS of their own"
    return [Finding("page", Verdict.WARNING, detail, "put a proxy with TLS and a log-in before it: docs/security.md")]


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
