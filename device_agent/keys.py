"""The site's keys, from a file to the device: the first ones by a person, newer ones by the agent."""

from __future__ import annotations

import secrets

import structlog

from device_agent.trusted import TrustedKeys
from device_agent.wearable.api import KeepsKeys, Wearable
from schemas.errors import UserError
from schemas.link.holders import DeviceKeys
from schemas.link.opcodes import Capability

_log = structlog.get_logger("agent")
#: By the number in `DeviceKeys.mode`.
MODES = ("development", "signed", "lost")
_SECRET_BYTES = 32


async def look_at_keys(wearable: Wearable, trusted: TrustedKeys | None) -> str:
    """What the wearable trusts, one of `MODES`; "" for firmware that knows no keys. Brings it newer keys of its site.

    Raises UserError for a device of another site.
    """
    if not isinstance(wearable, KeepsKeys) or Capability.TRUST not in wearable.capabilities:
        return ""
    told = await wearable.keys() if trusted is None else await give_keys(wearable, trusted, first=False)
    mode = MODES[told.mode]
    if mode == "development" and trusted is not None:
        _log.warning(
            "the wearable is in development mode: it has no keys and takes any plan; give it those of its site with "
            "`biotrain trust`",
            device=wearable.info.device_id,
        )
    elif mode == "lost":
        _log.error("the wearable has lost its keys and takes nothing: reset it", device=wearable.info.device_id)
    return mode


async def give_keys(device: KeepsKeys, trusted: TrustedKeys, *, first: bool) -> DeviceKeys:
    """Bring the device up to the newest set, one after the other; `first`: also when it has none yet.

    Raises UserError for a device of another site, WearableError where it refuses.
    """
    told = await device.keys()
    if told.mode == 1 and told.site != trusted.newest.site:
        raise UserError(
            f"the device trusts the site {told.site!r}, the keys are those of {trusted.newest.site!r}: give it a file "
            "of its own site"
        )
    if told.mode == 0:
        if not first:
            return told
        # The newest set vouches for itself: nothing could vouch for it yet, and older keys may be retired.
        newest = trusted.newest
        own = newest if newest.signer in newest.key_ids else trusted.sets[0]
        await device.trust(own.pack(), secrets.token_bytes(_SECRET_BYTES))
        told = await device.keys()
    for each in trusted.sets:
        if each.number > told.number:
            await device.trust(each.pack())
            _log.info("the wearable was given keys", site=each.site, number=each.number, keys=list(each.key_ids))
    return await device.keys()
