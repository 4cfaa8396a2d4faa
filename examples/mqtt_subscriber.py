"""Follows the alerts of every device over MQTT.

python mqtt_subscriber.py 127.0.0.1 1883
"""

from __future__ import annotations

import asyncio
import sys

import aiomqtt

from schemas.alert import Alert


async def follow(host: str, port: int) -> None:
    async with aiomqtt.Client(host, port) as client:
        await client.subscribe("biotrain/v1/+/+/alert", qos=1)
        async for message in client.messages:
            alert = Alert.model_validate_json(bytes(message.payload))  # type: ignore[arg-type]
            print(f"{alert.site}/{alert.device}: {alert.rule} is {alert.state}: {alert.message}", flush=True)


if __name__ == "__main__":
    asyncio.run(follow(sys.argv[1], int(sys.argv[2])))
