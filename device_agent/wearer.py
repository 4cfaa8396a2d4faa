"""Whose weights serve: the wearable is told who wears it before anything is pushed."""

from __future__ import annotations

import structlog

from device_agent.wearable.api import KeepsWearers, Wearable, WearableError
from schemas.errors import UserError

_log = structlog.get_logger("agent")


async def choose_wearer(wearable: Wearable, name: str) -> None:
    """That person's weights serve from now on. A new person begins with those of the place without a name, which a
    device is delivered with, if there are any. Raises UserError when the device has no place left, else WearableError.
    """
    if not isinstance(wearable, KeepsWearers):
        return
    try:
        known = await wearable.wearers()
    except WearableError as error:
        if error.code != "UNSUPPORTED":
            raise
        _log.warning("the wearable's firmware knows one wearer only", wearer=name, firmware=wearable.info.firmware)
        return
    if known.active == name:
        return
    delivered = None
    if name not in {one.name for one in known.known} and known.active == "" and wearable.info.weights_version:
        delivered = await wearable.read_weights()
    await _choose(wearable, name)
    if delivered is not None:
        await wearable.write_weights(delivered)
    _log.info("the wearable serves another wearer", wearer=name, before=known.active or None)


async def _choose(wearable: KeepsWearers, name: str) -> None:
    try:
        try:
            await wearable.choose_wearer(name)
        except WearableError as error:
            if error.code != "BUSY":
                raise
            await wearable.stop_fit()  # whoever it was for wears it no more
            await wearable.choose_wearer(name)
    except WearableError as error:
        if error.code == "TOO_MANY_WEARERS":
            raise UserError(
                f"wearer {name!r}: {error}: `biotrain wearer list` shows them, `biotrain wearer erase NAME` makes room"
            ) from None
        raise
