"""`biotrain trust`: which keys a wearable trusts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.errors import UserError


def main(
    wearable: Annotated[str, typer.Option(help="tcp://HOST:PORT, serial:///dev/..., ble://NAME.")] = (
        "tcp://127.0.0.1:7777"
    ),
    keys: Annotated[Path | None, typer.Option(help="The site's trusted.keys; else the device is only asked.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Ask a wearable which keys it trusts, or give it those of its site. The agent must not run meanwhile.

    A device without keys is in development mode: it takes any plan. It must be blank when it is given
    its first keys; from then on it takes only what they have signed, and keys that they vouch for.

    Example:

        biotrain trust --wearable tcp://127.0.0.1:7777
        biotrain trust --wearable tcp://127.0.0.1:7777 --keys certs/trusted.keys
    """
    from device_agent.wearable.api import WearableError

    try:
        told = asyncio.run(_do(wearable, keys))
    except WearableError as error:
        if error.code == "WRONG_STATE":
            raise UserError(
                f"{wearable}: it holds a plan or weights that came from anybody: erase them before it is given keys "
                "(a factory reset; a virtual wearable: a new --storage file)"
            ) from None
        raise UserError(f"{wearable}: {error}") from None
    if as_json:
        print(json.dumps(told))
        return
    words = {"development": "no keys: it takes any plan (development mode)", "lost": "its keys were lost: reset it"}
    print(f"{told['device']}: " + words.get(told["mode"], f"trusts {told['site']}, set {told['number']}"))
    for identity in told["keys"]:
        print(identity)


async def _do(address: str, keys: Path | None) -> dict[str, Any]:
    from device_agent.keys import MODES, give_keys
    from device_agent.trusted import TrustedKeys
    from device_agent.wearable.connect import connect

    trusted = None if keys is None else TrustedKeys.load(keys)
    device = await connect(address)
    try:
        if trusted is not None:
            await give_keys(device, trusted, first=True)
        told = await device.keys()
        return {
            "device": device.info.device_id,
            "mode": MODES[told.mode],
            "site": told.site,
            "number": told.number,
            "plan_number": told.plan_number,
            "keys": list(told.key_ids),
        }
    finally:
        await device.close()
