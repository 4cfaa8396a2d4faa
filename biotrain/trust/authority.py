"""A site's authority: a folder with its key, its register, a folder for each holder, and one for the broker."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509 as cryptography_x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from biotrain.files import write_whole
from biotrain.trust import x509
from biotrain.trust.access import access_list, emqx_access_list
from biotrain.trust.register import Issued, Register
from messaging.identity import CA_FILE, CERTIFICATE_FILE, KEY_FILE
from schemas.errors import UserError
from schemas.principal import Principal, Role
from schemas.topics import GroupTopic, TopicError

_KEY, _REGISTER = "ca.key", "register.json"
SERVER_CERTIFICATE, SERVER_KEY, REVOKED, ACCESS = "server.crt", "server.key", "revoked.crl", "access.acl"
#: The same for EMQX (deploy/kubernetes).
EMQX_ACCESS = "acl.conf"
_HOST = re.compile(r"^(?=.{1,253}$)[A-Za-z0-9*]([A-Za-z0-9.:-]*[A-Za-z0-9])?$")


class Authority:
    """Open it with `open`, or `create` it; every change is on disk when its call returns."""

    def __init__(self, folder: Path, passphrase: str | None = None) -> None:
        self.folder = folder
        self._passphrase = passphrase

    @classmethod
    def create(cls, folder: Path, site: str, *, days: int, passphrase: str | None = None) -> Authority:
        try:
            str(GroupTopic(site, "all"))
        except TopicError as error:
            raise UserError(f"--site: {error}") from None
        if (folder / _KEY).exists():
            raise UserError(
                f"{folder} holds an authority already: a new one would make all its certificates worthless. "
                "Choose another --dir, or move that folder away"
            )
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        authority = cls(folder, passphrase)
        key = x509.new_key()
        certificate = x509.new_authority(site, key, days)
        with authority.lock():
            Register(site=site).save(folder / _REGISTER)
            write_whole(folder / CA_FILE, x509.to_pem(certificate))
            write_whole(folder / _KEY, x509.key_to_pem(key, passphrase), mode=0o600)
        return authority

    @classmethod
    def open(cls, folder: Path, passphrase: str | None = None) -> Authority:
        for name in (_KEY, CA_FILE, _REGISTER):
            if not (folder / name).is_file():
                raise UserError(f"{folder} holds no authority ({name} is missing): make one with `biotrain certs init`")
        return cls(folder, passphrase)

    @property
    def register(self) -> Register:
        return Register.load(self.folder / _REGISTER)

    @property
    def broker_folder(self) -> Path:
        return self.folder / "broker"

    def holder_folder(self, principal: Principal) -> Path:
        if principal.role is Role.BROKER:
            return self.broker_folder
        return self.folder / f"{principal.role}-{principal.name}"

    def issue(
        self, principal: Principal, *, hosts: Sequence[str] = (), days: int, request: bytes | None = None
    ) -> Issued:
        """A certificate, in the holder's folder; with its key, unless the holder has asked for it with a request."""
        for host in hosts:
            if not _HOST.fullmatch(host):
                raise UserError(f"--host {host!r} is neither a name nor an address of a machine")
        if principal.role is Role.BROKER and not hosts:
            raise UserError("a broker's certificate needs the names that clients reach it by: add --host")
        if hosts and principal.role is not Role.BROKER:
            raise UserError(f"--host belongs to a broker's certificate, not to one of a {principal.role}")
        key = x509.new_key()
        public = key.public_key() if request is None else x509.key_of_request(request, principal)
        with self.lock():
            authority, authority_key = self._load()
            certificate = x509.new_certificate(
                principal, public, authority=authority, authority_key=authority_key, hosts=hosts, days=days
            )
            register = self.register
            entry = Issued(
                serial=f"{certificate.serial_number:x}",
                role=principal.role,
                name=principal.name,
                hosts=list(hosts),
                issued=datetime.now(UTC),
                not_after=certificate.not_valid_after_utc,
            )
            register.issued.append(entry)
            # The register first: a certificate that it does not know could not be taken back.
            register.save(self.folder / _REGISTER)
            self._write_holder(principal, certificate, None if request is not None else key)
            self._tell_broker(register, authority, authority_key)
        return entry

    def renew(self, principal: Principal, *, days: int) -> Issued:
        """A new key and certificate in the same place; the old one goes on being valid until it ends or is revoked."""
        known = self.register.of(principal)
        if not known:
            raise UserError(f"{principal} has no certificate here: make one with `biotrain certs issue`")
        return self.issue(principal, hosts=known[-1].hosts, days=days)

    def revoke(self, principal: Principal, *, serial: str | None = None) -> list[Issued]:
        """Take back all certificates of a holder, or the one of that serial number."""
        with self.lock():
            register, now = self.register, datetime.now(UTC)
            wanted = None if serial is None else serial.lower().removeprefix("0x").lstrip("0")
            doomed = [
                entry for entry in register.of(principal) if entry.revoked is None and wanted in (None, entry.serial)
            ]
            if not doomed:
                which = f"{principal}" + (f" with serial {serial}" if serial else "")
                raise UserError(f"{which} has no certificate that could be revoked: see `biotrain certs list`")
            for entry in doomed:
                entry.revoked = now
            authority, authority_key = self._load()
            register.save(self.folder / _REGISTER)
            self._tell_broker(register, authority, authority_key)
        return doomed

    def _write_holder(
        self, principal: Principal, certificate: cryptography_x509.Certificate, key: ec.EllipticCurvePrivateKey | None
    ) -> None:
        folder = self.holder_folder(principal)
        folder.mkdir(mode=0o700, exist_ok=True)
        broker = principal.role is Role.BROKER
        if key is not None:
            # The key first: a crash between the two leaves a pair that does not fit, and says so.
            write_whole(folder / (SERVER_KEY if broker else KEY_FILE), x509.key_to_pem(key), mode=0o600)
        write_whole(folder / (SERVER_CERTIFICATE if broker else CERTIFICATE_FILE), x509.to_pem(certificate))
        write_whole(folder / CA_FILE, (self.folder / CA_FILE).read_bytes())

    def _tell_broker(
        self, register: Register, authority: cryptography_x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> None:
        """The broker's files follow each change; it reads them again on SIGHUP."""
        self.broker_folder.mkdir(mode=0o700, exist_ok=True)
        revoked = [(int(entry.serial, 16), entry.revoked) for entry in register.issued if entry.revoked]
        listed = x509.new_revocation_list(revoked, authority, key)
        write_whole(self.broker_folder / REVOKED, x509.to_pem(listed))
        write_whole(self.broker_folder / ACCESS, access_list(register.site, register.allowed()).encode(), mode=0o600)
        emqx = emqx_access_list(register.site, register.allowed())
        write_whole(self.broker_folder / EMQX_ACCESS, emqx.encode(), mode=0o600)

    def _load(self) -> tuple[cryptography_x509.Certificate, ec.EllipticCurvePrivateKey]:
        try:
            certificate = cryptography_x509.load_pem_x509_certificate((self.folder / CA_FILE).read_bytes())
            key = serialization.load_pem_private_key(
                (self.folder / _KEY).read_bytes(), self._passphrase.encode() if self._passphrase else None
            )
        except TypeError:
            raise UserError(
                f"{self.folder / _KEY}: set BIOTRAIN_CA_PASSPHRASE when it has a passphrase, and only then"
            ) from None
        except (ValueError, OSError) as error:
            raise UserError(
                f"{self.folder / _KEY} cannot be used: wrong passphrase, or a spoilt file ({error})"
            ) from None
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return certificate, key

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Two operators at once wait for each other."""
        handle = os.open(self.folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
