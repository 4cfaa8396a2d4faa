"""The web server inside the supervisor's own loop."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from schemas.errors import UserError
from service.web_certificate import WebCertificate


class Server(uvicorn.Server):
    """Leaves signals to the supervisor, which has more to bring to an end than the web server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def build_server(app: FastAPI, secure: WebCertificate | None = None) -> Server:
    """uvicorn, bounded; over TLS where there is a certificate."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
        limit_concurrency=500,
        server_header=False,
    )
    config.load()
    config.ssl = None if secure is None else secure.context
    return Server(config)


def listen(host: str, port: int) -> socket.socket:
    """Raises UserError when the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(128)
    except (OSError, UnicodeError) as error:
        sock.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise UserError(
                f"port {port} of {host} is in use: stop what uses it, or choose another with --listen"
            ) from None
        if isinstance(error, OSError) and error.errno == errno.EACCES:
            raise UserError(
                f"port {port} may not be used without rights: choose one above 1023 with --listen"
            ) from None
        raise UserError(f"cannot listen on {host}:{port} ({error}): name an address of this machine") from None
    sock.setblocking(False)
    return sock


def is_loopback(sock: socket.socket) -> bool:
    """Whether only this machine reaches it."""
    return ipaddress.ip_address(sock.getsockname()[0]).is_loopback


def url_of(sock: socket.socket, *, secure: bool = False) -> str:
    """Where a browser finds it."""
    scheme = "https" if secure else "http"
    host, port = sock.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
