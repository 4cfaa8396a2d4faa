"""What a site signs: blocks behind plans and weights, and the sets of keys that devices trust. Bytes only, no secrets.

The layouts are told in `docs/plan-format.md`; `firmware/trust/signature.c` is the device's reader.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum

from schemas.errors import UserError

SIGNATURE_BYTES = 128
KEY_BYTES = 32
MOST_KEYS = 4
SITE_BYTES = 23
DEVICE_CLASS_GAP9 = 1
_PREFIX = b"biotrain signature 1"
"""In front of everything that is signed, so that no signature of another protocol fits here."""
_BLOCK = struct.Struct("<4sBBHII8s8x32s64s")
_SIGNED_OF_BLOCK = 64
_SET = struct.Struct("<4sBBHII24s")
_SET_TAIL = 8 + 64
_FORMAT = 1


class SignatureError(UserError):
    """Not signed as it must be; the message says why and what to do."""


class SignedKind(IntEnum):
    """What a signature is over: one for a plan is never good for weights."""

    PLAN = 1
    WEIGHTS = 2


def key_id(public: bytes) -> str:
    """A key's name: 16 hex digits."""
    return hashlib.sha256(public).digest()[:8].hex()


@dataclass(frozen=True, slots=True)
class Signature:
    """The block behind a file."""

    kind: SignedKind
    number: int
    """Grows from one signed plan to the next: seconds since 1970, when they are signed."""
    device_class: int
    key_id: str
    about: bytes
    """Of a plan: SHA-256 of the weights file that it begins with; of weights: the device they are for. Or zeros."""
    signature: bytes = bytes(64)

    def pack(self) -> bytes:
        return _BLOCK.pack(
            b"BTSG",
            _FORMAT,
            self.kind,
            0,
            self.number,
            self.device_class,
            bytes.fromhex(self.key_id),
            self.about,
            self.signature,
        )

    def message(self, body: bytes) -> bytes:
        """What is signed for a file: the block without the signature, and the file's digest."""
        return _PREFIX + self.pack()[:_SIGNED_OF_BLOCK] + hashlib.sha256(body).digest()

    @property
    def device_id(self) -> str:
        """Of weights: the one device that may take them; "" for any."""
        return self.about.rstrip(b"\0").decode(errors="replace")


def read_signature(block: bytes, kind: SignedKind) -> Signature:
    """Raises SignatureError for what is no such block. It is not checked against any key here."""
    if len(block) != SIGNATURE_BYTES or block[:4] != b"BTSG":
        raise SignatureError("its signature is damaged: sign it again with `biotrain sign`")
    _, version, found, _, number, device_class, identity, about, signature = _BLOCK.unpack(block)
    if version != _FORMAT or found != kind:
        raise SignatureError(
            f"its signature has format {version} and is one of kind {found}, not of format {_FORMAT} for a "
            f"{kind.name.lower()} file: sign it again with `biotrain sign`"
        )
    return Signature(kind, number, device_class, identity.hex(), about, signature)


def body_of(file: bytes) -> bytes:
    """A plan or weights file without its signature."""
    if file[:4] == b"BTPL" and len(file) >= 20:
        (length,) = struct.unpack_from("<I", file, 16)
    elif file[:4] == b"BTWT" and len(file) >= 12:
        length = 128 + struct.unpack_from("<I", file, 8)[0]
    else:
        raise SignatureError("this is neither a plan nor a weights file: it begins with neither BTPL nor BTWT")
    if len(file) - length not in (0, SIGNATURE_BYTES):
        raise SignatureError(f"the file is cut or padded: it says {length} bytes and has {len(file)}")
    return file[:length]


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys that a site's devices trust, vouched for by a key of the set before (the first one: by its own)."""

    number: int
    site: str
    keys: tuple[bytes, ...]
    signer: str = "0" * 16
    signature: bytes = bytes(64)

    @property
    def key_ids(self) -> tuple[str, ...]:
        return tuple(key_id(key) for key in self.keys)

    @property
    def _body(self) -> bytes:
        return _SET.pack(b"BTKS", _FORMAT, len(self.keys), 0, self.number, 0, self.site.encode()) + b"".join(self.keys)

    @property
    def message(self) -> bytes:
        return _PREFIX + self._body

    def pack(self) -> bytes:
        return self._body + bytes.fromhex(self.signer) + self.signature


def read_key_sets(file: bytes) -> tuple[KeySet, ...]:
    """All sets of a site, oldest first: a device that has been away takes each in turn. Raises SignatureError."""
    found: list[KeySet] = []
    while file:
        if len(file) < _SET.size or file[:4] != b"BTKS" or file[4] != _FORMAT or not 1 <= file[5] <= MOST_KEYS:
            raise SignatureError("this is no file of trusted keys: `biotrain certs signing-key` writes trusted.keys")
        _, _, count, _, number, _, site = _SET.unpack_from(file)
        end = _SET.size + count * KEY_BYTES
        if len(file) < end + _SET_TAIL:
            raise SignatureError("the file of trusted keys is cut: copy it again")
        keys = tuple(file[_SET.size + i * KEY_BYTES :][:KEY_BYTES] for i in range(count))
        signer, signature = file[end : end + 8].hex(), file[end + 8 : end + _SET_TAIL]
        found.append(KeySet(number, site.rstrip(b"\0").decode(errors="replace"), keys, signer, signature))
        file = file[end + _SET_TAIL :]
    if not found:
        raise SignatureError("the file of trusted keys is empty: `biotrain certs signing-key` writes trusted.keys")
    return tuple(found)
