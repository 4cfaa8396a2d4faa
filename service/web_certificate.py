"""TLS of the page and the REST interface: the operator's certificate, taken up anew when its files change."""

from __future__ import annotations

import asyncio
import os
import ssl
import stat
from pathlib import Path

import structlog

from schemas.errors import UserError

_log = structlog.get_logger("service.web")
#: A renewed certificate serves new connections after so long at most.
_LOOK_EVERY_S = 30.0


class WebCertificate:
    """Raises UserError for files that cannot serve."""

    def __init__(self, certificate: Path, key: Path | None) -> None:
        self._certificate, self._key = certificate, key or certificate
        for file in (self._certificate, self._key):
            if not file.is_file():
                raise UserError(f"{file} is missing: --certificate and --key name PEM files, e.g. those of the broker")
        if os.name == "posix" and stat.S_IMODE(self._key.stat().st_mode) & 0o077:
            raise UserError(f"{self._key} can be read by others: run `chmod 600 {self._key}`")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._seen = self._stamp()
        try:
            self._load()
        except (ssl.SSLError, OSError) as error:
            raise UserError(
                f"{self._certificate} and {self._key} cannot be used together ({error}): is the first a certificate in "
                "PEM, and the second its key, without a passphrase?"
            ) from None

    async def follow(self) -> None:
        """For ever. Files that do not fit yet, while they are written, are tried again; the old ones go on serving."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            self.look()

    def look(self) -> None:
        """Take up files that have changed."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        try:
            self._load()
        except (ssl.SSLError, OSError) as error:
            _log.warning("the page's new certificate cannot be used; the old one goes on serving", reason=str(error))
        else:
            _log.info("the page has a new certificate", file=str(self._certificate))
        self._seen = stamp

    def _load(self) -> None:
        # Tried on a context of its own first: a pair that does not fit would leave half of it in the one that serves.
        for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.context):
            context.load_cert_chain(self._certificate, self._key, password=lambda: b"")

    def _stamp(self) -> tuple[float, ...]:
        return tuple(file.stat().st_mtime if file.exists() else 0.0 for file in (self._certificate, self._key))
