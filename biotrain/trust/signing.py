"""A site's signing keys, and what they sign: plans, weights, and sets of the keys themselves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from biotrain.files import write_whole
from schemas.errors import UserError
from schemas.plan import read_plan
from schemas.signature import (
    DEVICE_CLASS_GAP9,
    MOST_KEYS,
    SITE_BYTES,
    KeySet,
    Signature,
    SignatureError,
    SignedKind,
    body_of,
    key_id,
    read_key_sets,
)
from schemas.weights import read_weights

TRUSTED, FOLDER = "trusted.keys", "signing"
DEVICE_ID_BYTES = 23


def public_of(key: Ed25519PrivateKey) -> bytes:
    """The 32 bytes that devices are given."""
    return key.public_key().public_bytes_raw()


def sign_plan(file: bytes, key: Ed25519PrivateKey, *, weights: bytes | None = None, number: int | None = None) -> bytes:
    """The plan with its signature, in place of one that it may have; it covers the weights that it begins with."""
    body = body_of(file)
    plan = read_plan(body)
    about = bytes(32)
    if weights is not None:
        read_weights(weights, plan.hash)
        about = sha256(body_of(weights)).digest()
    block = Signature(SignedKind.PLAN, _number(number), plan.device_class, key_id(public_of(key)), about)
    return body + replace(block, signature=key.sign(block.message(body))).pack()


def sign_weights(file: bytes, key: Ed25519PrivateKey, *, device: str = "", number: int | None = None) -> bytes:
    """The weights with their signature; `device`: only this one may take them."""
    body = body_of(file)
    read_weights(body)
    if len(device.encode()) > DEVICE_ID_BYTES:
        raise UserError(f"--device {device!r}: a device's name has at most {DEVICE_ID_BYTES} bytes")
    about = device.encode().ljust(32, b"\0")
    block = Signature(SignedKind.WEIGHTS, _number(number), DEVICE_CLASS_GAP9, key_id(public_of(key)), about)
    return body + replace(block, signature=key.sign(block.message(body))).pack()


def _number(number: int | None) -> int:
    return int(time.time()) if number is None else number


def next_set(sets: Sequence[KeySet], site: str, keys: Sequence[bytes], signer: Ed25519PrivateKey) -> KeySet:
    """The set that follows, vouched for by a key of the one before."""
    if not keys:
        raise UserError("the last key cannot be retired: make another one first with `biotrain certs signing-key`")
    if len(keys) > MOST_KEYS:
        raise UserError(f"a device trusts {MOST_KEYS} keys at most: retire one first with `biotrain certs retire`")
    if len(site.encode()) > SITE_BYTES:
        raise UserError(f"the site's name {site!r} has more than {SITE_BYTES} bytes: devices cannot keep it")
    made = KeySet(sets[-1].number + 1 if sets else 1, site, tuple(keys), key_id(public_of(signer)))
    return replace(made, signature=signer.sign(made.message))


class SigningKeys:
    """The folder `signing` of an authority: one file per key; beside it trusted.keys, which devices and agents get."""

    def __init__(self, authority: Path, site: str, passphrase: str | None = None) -> None:
        self.folder, self.trusted = authority / FOLDER, authority / TRUSTED
        self._site, self._passphrase = site, passphrase

    @property
    def sets(self) -> tuple[KeySet, ...]:
        return read_key_sets(self.trusted.read_bytes()) if self.trusted.is_file() else ()

    def add(self) -> str:
        """A new key, trusted from now on beside the others; returns its id."""
        sets, key = self.sets, Ed25519PrivateKey.generate()
        keys = (*(sets[-1].keys if sets else ()), public_of(key))
        made = next_set(sets, self._site, keys, self.load() if sets else key)
        protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if self._passphrase is not None:
            protection = serialization.BestAvailableEncryption(self._passphrase.encode())
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        identity = key_id(public_of(key))
        write_whole(self.folder / f"{identity}.key", pem, mode=0o600)  # the key first: a set names what is there
        self._append(sets, made)
        return identity

    def retire(self, identity: str) -> None:
        """Nothing that this key signs is taken any more, wherever the new set has come."""
        sets = self.sets
        if not sets or identity not in sets[-1].key_ids:
            raise UserError(f"{identity} is no trusted key of {self._site}: see `biotrain certs keys`")
        keys = [key for key in sets[-1].keys if key_id(key) != identity]
        others = [other for other in sets[-1].key_ids if other != identity and self._path(other).is_file()]
        signer = self.load(others[-1] if others else identity)
        self._append(sets, next_set(sets, self._site, keys, signer))

    def load(self, identity: str | None = None) -> Ed25519PrivateKey:
        """The newest trusted key that is here, or the one with this id."""
        sets = self.sets
        here = [each for each in (sets[-1].key_ids if sets else ()) if self._path(each).is_file()]
        if identity is None and not here:
            raise UserError(f"{self.folder} holds no trusted key: make one with `biotrain certs signing-key`")
        return load_key(self._path(identity or here[-1]), self._passphrase)

    def _path(self, identity: str) -> Path:
        return self.folder / f"{identity}.key"

    def _append(self, sets: Sequence[KeySet], made: KeySet) -> None:
        write_whole(self.trusted, b"".join(each.pack() for each in (*sets, made)))


def load_key(path: Path, passphrase: str | None = None) -> Ed25519PrivateKey:
    """Raises UserError."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), passphrase.encode() if passphrase else None)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}): name a key of `biotrain certs keys`") from None
    except TypeError:
        raise UserError(f"{path}: set BIOTRAIN_CA_PASSPHRASE when it has a passphrase, and only then") from None
    except ValueError:
        raise UserError(f"{path}: wrong passphrase, or no key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureError(f"{path}: is no Ed25519 key: make one with `biotrain certs signing-key`")
    return key
