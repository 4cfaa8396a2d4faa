"""What the agent keeps on its disk, sealed with a key: AES-256-GCM, each piece bound to the place where it belongs."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from pathlib import Path

from schemas.errors import UserError

_NONCE_BYTES = 12
_HOW = "make one with `openssl rand -hex 32 > FILE; chmod 600 FILE`"


class Seal:
    """`seal` and `open` take the place as bytes; a piece that was moved to another place does not open."""

    def __init__(self, key: bytes) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise UserError(
                "--key-file needs the package cryptography: install it with `pip install 'biotrain[trust]'`"
            ) from None
        self._cipher = AESGCM(key)
        self.key_id = hmac.new(key, b"biotrain outbox", hashlib.sha256).hexdigest()[:16]

    @classmethod
    def load(cls, path: Path) -> Seal:
        """From a file of 64 hexadecimal digits that its owner alone may read. Raises UserError."""
        try:
            text = path.read_text(encoding="ascii").strip()
            mode = stat.S_IMODE(path.stat().st_mode)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"--key-file {path} cannot be read ({error}): {_HOW}") from None
        if os.name == "posix" and mode & 0o077:
            raise UserError(f"--key-file {path} can be read by others: chmod 600 {path}, and choose a new key")
        try:
            key = bytes.fromhex(text)
        except ValueError:
            key = b""
        if len(key) != 32:
            raise UserError(f"--key-file {path} does not hold 64 hexadecimal digits: {_HOW}")
        return cls(key)

    def seal(self, content: bytes, place: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """Raises UserError when it was altered or moved."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError):
            raise UserError(
                f"the outbox was altered ({place} does not open): choose another --state-dir, and look who could"
            ) from None
