"""From an address to a wearable (transports.py knows the ways)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from device_agent.wearable.api import Wearable
from device_agent.wearable.client import LinkWearable
from device_agent.wearable.session import LinkState
from device_agent.wearable.timing import Timing
from device_agent.wearable.transport import Transport
from device_agent.wearable.transports import transport


async def connect(
    address: str,
    *,
    patience_s: float = 10.0,
    storage: Path | None = None,
    external: Path | None = None,
    log: Path | None = None,
    device_id: str = "local",
    timing: Timing | None = None,
    on_state: Callable[[LinkState], None] | None = None,
) -> LinkWearable:
    """A wearable that has answered. `storage`, `external` (its memory for windows), `log` and `device_id` are for
    `local`, which has no process of its own.

    Raises UserError for an address that cannot be, WearableLost when nobody answers within `patience_s`,
    WearableError when the two sides speak different versions of the protocol.
    """
    way, on_close = _transport(address, storage, external, log, device_id)
    wearable = LinkWearable(way, timing, on_state=on_state, on_close=on_close)
    try:
        await wearable.start(patience_s)
    except BaseException:
        await wearable.close()
        raise
    return wearable


def _transport(
    address: str, storage: Path | None, external: Path | None, log: Path | None, device_id: str
) -> tuple[Transport, Callable[[], Awaitable[None]] | None]:
    if address == "local":
        from device_agent.wearable.local import Firmware, LocalTransport

        local = LocalTransport(Firmware(device_id, storage=storage, external=external, log=log))
        return local, local.stop
    return transport(address), None


async def provision(wearable: Wearable, plan: bytes | None, weights: bytes | None) -> bool:
    """Write plan and weights where the wearable has none or another plan; True when something was written.

    Weights that are already there and go with the plan stay: they may have been adapted to their wearer.
    """
    from schemas.plan import read_plan
    from schemas.weights import read_weights

    written = False
    if plan is not None and read_plan(plan).hash != wearable.info.plan_hash:
        if weights is not None:
            read_weights(weights, read_plan(plan).hash)  # before the old plan is given up
        await wearable.write_plan(plan)
        written = True
    if weights is not None and wearable.info.weights_version == 0:
        await wearable.write_weights(weights)
        written = True
    return written
