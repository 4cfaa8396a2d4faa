"""The folder that `biotrain certs` hands to an agent or a supervisor, and the TLS context that is made of it."""

from __future__ import annotations

import os
import ssl
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from messaging.certificate import Certificate, read_certificate
from schemas.errors import UserError
from schemas.principal import Principal, PrincipalError

CA_FILE, CERTIFICATE_FILE, KEY_FILE = "ca.crt", "client.crt", "client.key"


class _Socket(ssl.SSLSocket):
    """paho forgets a socket whose handshake has failed, and leaves it to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """Who we are to the broker. The files are read anew for each connection: a renewed certificate needs no restart."""

    folder: Path
    site: str
    principal: Principal

    @classmethod
    def load(cls, folder: Path, *, now: datetime | None = None) -> ClientIdentity:
        """Raises UserError for whatever would make every connection fail."""
        for name in (CA_FILE, CERTIFICATE_FILE, KEY_FILE):
            if not (folder / name).is_file():
                raise UserError(
                    f"{folder / name} is missing: give --identity the folder that `biotrain certs issue` has written"
                )
        key = folder / KEY_FILE
        if os.name == "posix" and stat.S_IMODE(key.stat().st_mode) & 0o077:
            raise UserError(f"{key} can be read by others: run `chmod 600 {key}`; if they may have read it, revoke it")
        certificate = read_own(folder)
        now = now or datetime.now(UTC)
        if now > certificate.not_after:
            raise UserError(
                f"{folder / CERTIFICATE_FILE} expired on {certificate.not_after:%Y-%m-%d %H:%M} UTC: make a new one "
                "with `biotrain certs renew`"
            )
        if now < certificate.not_before:
            raise UserError(
                f"{folder / CERTIFICATE_FILE} is not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC, and the "
                f"clock here says {now:%Y-%m-%d %H:%M} UTC: set the clock"
            )
        try:
            principal = Principal.parse(certificate.common_name)
        except PrincipalError as error:
            raise UserError(f"{folder / CERTIFICATE_FILE} is not made by `biotrain certs`: {error}") from None
        identity = cls(folder, certificate.organization, principal)
        identity.context()
        return identity

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer; the broker must have a certificate of our site's authority, for the name we connect to."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.sslsocket_class = _Socket
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # The site's authority alone: what the system trusts says nothing of this broker.
        try:
            context.load_verify_locations(self.folder / CA_FILE)
        except (ssl.SSLError, OSError) as error:
            raise UserError(f"{self.folder / CA_FILE} cannot be used ({error})") from None
        try:
            # An empty password instead of a question on the terminal, which no service can answer.
            context.load_cert_chain(self.folder / CERTIFICATE_FILE, self.folder / KEY_FILE, password=lambda: b"")
        except ssl.SSLError as error:
            raise UserError(f"{self.folder}: certificate and key do not fit together ({error.reason})") from None
        except OSError as error:
            raise UserError(f"{self.folder}: certificate or key cannot be read ({error.strerror})") from None
        return context


#: What OpenSSL calls it, and what it means here. A peer tells no more than this, so that it tells an attacker no more.
_MEANINGS = {
    "CERTIFICATE_EXPIRED": "our certificate has expired: renew it with `biotrain certs renew`",
    "CERTIFICATE_REVOKED": "our certificate has been revoked",
    "CERTIFICATE_REQUIRED": "it wants a certificate: give --identity",
    "ALERT_UNKNOWN_CA": "it does not know the authority of our certificate: is it another site's broker?",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not one of our site's authority for the name that we connect to",
    "WRONG_VERSION_NUMBER": "it speaks no TLS on this port",
}


def explain(error: str) -> str:
    """A reason of OpenSSL with its meaning behind it; any other as it is."""
    found = next((meaning for name, meaning in _MEANINGS.items() if name in error), None)
    return error if found is None else f"{error}: {found}"


def read_own(folder: Path) -> Certificate:
    """The certificate that a folder of keys is about. Raises UserError for one that cannot be read."""
    file = folder / CERTIFICATE_FILE
    try:
        return read_certificate(file.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be used: {error}") from None
