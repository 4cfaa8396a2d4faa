"""The device's own check of signatures: judged by RFC 8032 and, on random and wrong ones, by `cryptography`."""

from __future__ import annotations

import ctypes
import hashlib
import hmac
import random
from collections.abc import Callable

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from device_agent.engine.library import LIBRARY, find_native

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
#: RFC 8032, section 7.1: secret key, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246"
        "55141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb"
        "00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc"
        "027beceea1ec40a",
    ),
]
#: The eight points of small order, and other ways to write some of them (section 5.1.3 refuses those).
SMALL_ORDER = [
    bytes(32),
    b"\1" + bytes(31),
    (P - 1).to_bytes(32, "little"),
    P.to_bytes(32, "little"),
    (P + 1).to_bytes(32, "little"),
    bytes(31) + b"\x80",
    b"\1" + bytes(30) + b"\x80",
    (P - 1 + 2**255).to_bytes(32, "little"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
]
Verify = Callable[[bytes, bytes, bytes], bool]


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    return ctypes.CDLL(str(find_native(LIBRARY)))


@pytest.fixture(scope="module")
def verify(library) -> Verify:
    library.bt_ed25519_verify.restype = ctypes.c_bool
    return lambda key, signature, message: library.bt_ed25519_verify(key, signature, message, len(message))


def judge(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@pytest.mark.parametrize("vector", VECTORS, ids=["empty", "one byte", "two bytes"])
def test_the_rfcs_vectors_hold(verify, vector):
    secret, key, message, signature = map(bytes.fromhex, vector)
    assert Ed25519PrivateKey.from_private_bytes(secret).sign(message) == signature
    assert verify(key, signature, message)
    assert not verify(key, signature, message + b"x")


def compare(verify: Verify, seed: int, rounds: int) -> int:
    """Signatures, and each with something wrong with it; returns how many were taken."""
    rng, taken = random.Random(seed), 0
    for number in range(rounds):
        private = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
        key, message = private.public_key().public_bytes_raw(), rng.randbytes(number % 300)
        signature = private.sign(message)
        s = int.from_bytes(signature[32:], "little")
        bit = rng.randrange(512)
        flipped = (int.from_bytes(signature, "little") ^ 1 << bit).to_bytes(64, "little")
        other = (int.from_bytes(key, "little") ^ 1 << rng.randrange(256)).to_bytes(32, "little")
        cases = [
            (key, signature, message),
            (key, flipped, message),
            (key, signature[:32] + ((s + L) % 2**256).to_bytes(32, "little"), message),  # the same, not canonical
            (key, signature[:32] + (L - s).to_bytes(32, "little"), message),
            (key, signature[:63] + bytes([signature[63] | 0x80]), message),
            (key, rng.randbytes(64), message),
            (other, signature, message),
            (rng.randbytes(32), signature, message),
            (key[:31] + bytes([key[31] ^ 0x80]), signature, message),
        ]
        for case in cases:
            assert verify(*case) is judge(*case), case
            taken += verify(*case)
    return taken


def test_random_and_malformed_signatures_are_judged_as_by_cryptography(verify):
    assert compare(verify, 1, 20) == 20


@pytest.mark.slow
def test_thousands_of_them_are(verify):
    assert compare(verify, 2, 400) == 400


def test_points_of_small_order_vouch_for_nothing(verify, library):
    """Stricter than most: such a key would sign anything (S = 0, R = the neutral point)."""
    library.bt_ed25519_key_is_sound.restype = ctypes.c_bool
    for key in SMALL_ORDER:
        assert not library.bt_ed25519_key_is_sound(key)
        for r in SMALL_ORDER:
            assert not verify(key, r + bytes(32), b"anything")
    sound = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    assert library.bt_ed25519_key_is_sound(sound)
    for y in (2, 7, P + 2):  # no point of the curve, or not canonical
        assert not library.bt_ed25519_key_is_sound(y.to_bytes(32, "little"))
    assert not verify(sound, SMALL_ORDER[1] + bytes(32), b"anything")


@pytest.mark.parametrize("length", [0, 1, 111, 112, 113, 127, 128, 129, 239, 240, 241, 1000])
def test_hash_and_code_are_those_of_hashlib(library, length):
    message, secret = random.Random(length).randbytes(length), random.Random(7).randbytes(32)
    state, out = ctypes.create_string_buffer(512), ctypes.create_string_buffer(64)
    library.bt_sha512_begin(state)
    library.bt_sha512_add(state, message[: length // 3], length // 3)
    library.bt_sha512_add(state, message[length // 3 :], length - length // 3)
    library.bt_sha512_end(state, out)
    assert out.raw == hashlib.sha512(message).digest()
    library.bt_code_begin(state, secret)
    library.bt_code_add(state, message, length)
    library.bt_code_end(state, out)
    assert out.raw[:16] == hmac.new(secret, message, "sha512").digest()[:16]
