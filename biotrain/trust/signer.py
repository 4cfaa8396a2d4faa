"""The key that a command signs with, from wherever the user says it is."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import UserError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def open_signer(place: Path, passphrase: str | None) -> Ed25519PrivateKey:
    """`place`: a key file, or an authority's folder, whose newest signing key is meant. Raises UserError."""
    if find_spec("cryptography") is None:
        raise UserError("signing needs the package cryptography: install it with `pip install 'biotrain[trust]'`")
    from biotrain.trust.authority import Authority
    from biotrain.trust.signing import SigningKeys, load_key

    if place.is_dir():
        return SigningKeys(place, Authority.open(place, passphrase).register.site, passphrase).load()
    return load_key(place, passphrase)
