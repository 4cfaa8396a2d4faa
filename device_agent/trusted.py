"""The keys that an agent trusts, and whether a plan and its weights were signed with one of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from schemas.errors import UserError
from schemas.plan import Plan, read_plan
from schemas.signature import DEVICE_CLASS_GAP9, KeySet, Signature, SignatureError, body_of, read_key_sets
from schemas.weights import Origin, Weights, read_weights


class TrustedKeys:
    """A site's newest set of keys, every set on the way to it vouched for. Raises UserError."""

    def __init__(self, sets: Sequence[KeySet]) -> None:
        for before, here in zip((sets[0], *sets), sets, strict=False):
            known = dict(zip(before.key_ids, before.keys, strict=True))
            if here.signer not in known or not _verify(known[here.signer], here.signature, here.message):
                raise SignatureError(
                    f"trusted keys: set {here.number} is not signed by a key of the set before: copy the file again "
                    "from the site's authority"
                )
            if here is not sets[0] and (here.number <= before.number or here.site != before.site):
                raise SignatureError(f"trusted keys: set {here.number} of {here.site} does not follow {before.number}")
        self.sets = tuple(sets)
        self.newest = sets[-1]
        self._keys = dict(zip(self.newest.key_ids, self.newest.keys, strict=True))

    @classmethod
    def load(cls, path: Path) -> TrustedKeys:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}): name the site's trusted.keys") from None
        return cls(read_key_sets(content))

    @classmethod
    def of(cls, path: Path | None) -> TrustedKeys | None:
        """Read anew each time, so that a newer file counts without a restart; None: whoever started the agent trusts
        what it is given."""
        return None if path is None else cls.load(path)

    def check_plan(self, file: bytes) -> Plan:
        """Raises UserError unless the site has signed it for our class of device."""
        plan = read_plan(file)
        self._check("the plan", plan.signature, file)
        return plan

    def check_weights(self, file: bytes, plan_file: bytes, device_id: str) -> Weights:
        """Signed themselves, covered by the plan's signature, or committed by this very device (which will look at its
        own code). Raises UserError."""
        plan = self.check_plan(plan_file)
        weights = read_weights(file, plan.hash)
        if weights.signature is not None:
            self._check("the weights", weights.signature, file)
            if weights.signature.device_id not in ("", device_id):
                raise SignatureError(
                    f"the weights were signed for the device {weights.signature.device_id!r}, this is {device_id!r}"
                )
            return weights
        from hashlib import sha256

        assert plan.signature is not None
        begins_with = plan.signature.about == sha256(file).digest()
        if not begins_with and not (weights.origin is Origin.ADAPTED and any(weights.code)):
            raise SignatureError(
                "the weights are neither those that the plan was signed with, nor signed themselves: sign them with "
                "`biotrain sign PLAN --weights WEIGHTS`"
            )
        return weights

    def _check(self, what: str, signature: Signature | None, file: bytes) -> None:
        if signature is None:
            raise SignatureError(f"{what}: nobody has signed it; sign it with `biotrain sign`")
        key = self._keys.get(signature.key_id)
        if key is None:
            raise SignatureError(
                f"{what}: signed with the key {signature.key_id}, which {self.newest.site} does not trust (any more): "
                "sign it again with `biotrain sign`, or give the agent the site's newer trusted.keys"
            )
        if not _verify(key, signature.signature, signature.message(body_of(file))):
            raise SignatureError(f"{what}: altered after it was signed; transfer it again, or sign it again")
        if signature.device_class != DEVICE_CLASS_GAP9:
            raise SignatureError(f"{what}: signed for devices of class {signature.device_class}")


def _verify(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        raise UserError("signatures need the package cryptography: pip install 'biotrain[trust]'") from None
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
