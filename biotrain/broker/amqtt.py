"""amqtt, a broker in plain Python: nothing has to be installed for it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from biotrain.broker.port import ready_line
from biotrain.commands._stopping import run_until_stopped


def configuration(host: str, port: int) -> dict[str, Any]:
    """Of amqtt's broker: one TCP listener, open to whoever reaches it."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return {
        "listeners": {"default": {"type": "tcp", "bind": address, "max_connections": 1000}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }


def run(host: str, port: int, *, as_json: bool) -> None:
    """Until it is asked to stop. It keeps nothing: what it held is gone when it ends."""
    from amqtt.broker import Broker

    # A client that goes away is daily life here, not an error.
    logging.getLogger("amqtt").setLevel(logging.ERROR)
    logging.getLogger("transitions").setLevel(logging.ERROR)

    async def serve(stop: asyncio.Event) -> None:
        broker = Broker(configuration(host, port))
        await broker.start()
        print(ready_line(host, port, engine="amqtt", as_json=as_json), flush=True)
        await stop.wait()
        await asyncio.wait_for(broker.shutdown(), 4)

    run_until_stopped(serve)
