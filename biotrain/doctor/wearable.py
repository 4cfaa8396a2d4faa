"""Does the wearable answer, and what does it hold?"""

from __future__ import annotations

import asyncio

from biotrain.doctor.finding import Deployment, Finding, Verdict
from device_agent.wearable.api import WearableError, WearableLost
from device_agent.wearable.connect import connect
from schemas.errors import UserError

_PATIENCE_S = 5.0


def check_wearable(deployment: Deployment) -> list[Finding]:
    if deployment.wearable is None:
        return [Finding("wearable", Verdict.SKIPPED, "no --wearable given")]
    return [asyncio.run(_ask(deployment.wearable))]


async def _ask(address: str) -> Finding:
    try:
        wearable = await connect(address, patience_s=_PATIENCE_S)
    except UserError as error:
        return Finding("wearable", Verdict.FAILED, str(error))
    except WearableLost as error:
        advice = "is it on and in reach? It answers one agent at a time: stop the agent that has it"
        return Finding("wearable", Verdict.FAILED, f"{address}: {error}", advice)
    except WearableError as error:
        return Finding("wearable", Verdict.FAILED, f"{address}: {error}", "bring firmware and agent to one version")
    try:
        info = wearable.info
    finally:
        await wearable.close()
    told = f"{info.device_id}, firmware {info.firmware}, protocol {info.protocol}"
    if not info.plan_hash:
        advice = "give `biotrain agent` one with --plan"
        return Finding("wearable", Verdict.WARNING, f"{told}; it holds no plan", advice)
    return Finding("wearable", Verdict.OK, f"{told}, model {info.model}, weights version {info.weights_version}")
