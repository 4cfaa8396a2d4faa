"""Keys, certificates and revocation lists, made with `cryptography`. No files, no register."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from schemas.errors import UserError
from schemas.principal import Principal, Role

#: A clock that is a little behind must not refuse a certificate of this minute.
_SKEW = timedelta(minutes=5)


def new_key() -> ec.EllipticCurvePrivateKey:
    """P-256: every TLS library of the last decade has it."""
    return ec.generate_private_key(ec.SECP256R1())


def key_to_pem(key: ec.EllipticCurvePrivateKey, passphrase: str | None = None) -> bytes:
    """PKCS 8, encrypted where there is a passphrase."""
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        protection = serialization.BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


def to_pem(item: x509.Certificate | x509.CertificateRevocationList | x509.CertificateSigningRequest) -> bytes:
    """As it stands in a file."""
    return item.public_bytes(serialization.Encoding.PEM)


def new_authority(site: str, key: ec.EllipticCurvePrivateKey, days: int) -> x509.Certificate:
    """Self-signed; it may sign certificates of holders, and no further authorities."""
    name = _name(site, f"biotrain authority of {site}")
    public = key.public_key()
    return (
        _builder(name, name, public, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def new_certificate(
    principal: Principal,
    public: ec.EllipticCurvePublicKey,
    *,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    hosts: Iterable[str] = (),
    days: int,
) -> x509.Certificate:
    """A broker's may serve and nothing else, all others may be clients and nothing else."""
    site = authority.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value
    assert isinstance(site, str)
    serves = principal.role is Role.BROKER
    usage = ExtendedKeyUsageOID.SERVER_AUTH if serves else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _builder(_name(site, str(principal)), authority.subject, public, days, ends=authority.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    if serves:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
    return builder.sign(authority_key, hashes.SHA256())


def new_request(principal: Principal, key: ec.EllipticCurvePrivateKey) -> x509.CertificateSigningRequest:
    """A request in the name of `principal`: its key never leaves the device that made it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(principal))])
    return x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())


def key_of_request(pem: bytes, principal: Principal) -> ec.EllipticCurvePublicKey:
    """The public key that a request asks a certificate for. Raises UserError when it is not what it should be."""
    try:
        request = x509.load_pem_x509_csr(pem)
        names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError as error:
        raise UserError(f"it is no certificate request ({error})") from None
    asked = names[0].value if names else ""
    if asked != str(principal):
        raise UserError(f"it asks for a certificate of {asked!r}, not of {str(principal)!r}")
    if not request.is_signature_valid:
        raise UserError("its signature is wrong: whoever made it does not hold the key")
    public = request.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
        raise UserError("its key is not one of P-256: make the request with `biotrain certs request`")
    return public


def new_revocation_list(
    revoked: Iterable[tuple[int, datetime]], authority: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateRevocationList:
    """Valid as long as the authority: the broker reads it from its own disk, and a list that lapses locks all out."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.subject)
        .last_update(datetime.now(UTC) - _SKEW)
        .next_update(authority.not_valid_after_utc)
    )
    for serial, when in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(key, hashes.SHA256())


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    days: int,
    ends: datetime | None = None,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    end = now + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, end) - _SKEW)
        .not_valid_after(end if ends is None else min(end, ends))
    )


def _name(site: str, common_name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, site), x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
