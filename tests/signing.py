"""A site that signs, for tests."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from biotrain.trust.signing import next_set, public_of, sign_plan, sign_weights
from device_agent.wearable.client import LinkWearable
from device_agent.wearable.local import Firmware, LocalTransport
from schemas.signature import KeySet
from tests.wearable.conftest import QUICK


@dataclass
class Site:
    name: str = "home"
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    sets: list[KeySet] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sets.append(next_set((), self.name, [public_of(self.key)], self.key))

    def rotate(self) -> Ed25519PrivateKey:
        """A new key takes the place of the old one, which is returned."""
        old, self.key = self.key, Ed25519PrivateKey.generate()
        self.sets.append(next_set(self.sets, self.name, [public_of(self.key)], old))
        return old

    def plan(self, plan: bytes, weights: bytes | None = None, number: int = 1000) -> bytes:
        return sign_plan(plan, self.key, weights=weights, number=number)

    def weights(self, weights: bytes, device: str = "") -> bytes:
        return sign_weights(weights, self.key, device=device, number=1000)

    async def give_keys(self, wearable: LinkWearable) -> None:
        await wearable.trust(self.sets[0].pack(), secrets.token_bytes(32))


def renumbered(keys: KeySet, key: Ed25519PrivateKey, **changes: object) -> KeySet:
    """The set with other content, signed by `key`."""
    made = replace(keys, **changes)  # type: ignore[arg-type]
    return replace(made, signature=key.sign(made.message))


async def device(memory: bytearray, name: str = "left-arm") -> LinkWearable:
    """A wearable with this flash; `close` switches it off."""
    local = LocalTransport(Firmware(name, memory=memory))
    wearable = LinkWearable(local, QUICK, on_close=local.stop)
    await wearable.start()
    return wearable
