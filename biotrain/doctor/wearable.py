"""Does the wearable answer, and what does it hold?"""

from __future__ import annotations

import asyncio
from pathlib import Path

from biotrain.doctor.finding import Deployment, Finding, Verdict
from device_agent.keys import look_at_keys
from device_agent.trusted import TrustedKeys
from device_agent.wearable.api import WearableError, WearableLost
from device_agent.wearable.connect import connect
from schemas.errors import UserError

_PATIENCE_S = 5.0


def check_wearable(deployment: Deployment) -> list[Finding]:
    """Whether the wearable answers, and with which plan, weights and keys."""
    if deployment.wearable is None:
        return [Finding("wearable", Verdict.SKIPPED, "no --wearable given")]
    return [asyncio.run(_ask(deployment.wearable, deployment.trusted_keys))]


def _unsigned(trusted: TrustedKeys, plan: bytes) -> str:
    """Why the plan that runs would not be let in today; "" when it would."""
    try:
        trusted.check_plan(plan)
    except UserError as error:
        return str(error)
    return ""


async def _ask(address: str, keys: Path | None) -> Finding:
    unsigned = ""
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
        trust = await look_at_keys(wearable, None)
        trusted = TrustedKeys.of(keys)
        if trusted is not None and info.plan_hash:
            unsigned = _unsigned(trusted, await wearable.read_plan())
        told_keys = await wearable.keys() if trust == "signed" else None
    except UserError as error:
        return Finding("wearable", Verdict.FAILED, str(error))
    finally:
        await wearable.close()
    told = f"{info.device_id}, firmware {info.firmware}, protocol {info.protocol}"
    if not info.plan_hash:
        advice = "give `biotrain agent` one with --plan"
        return Finding("wearable", Verdict.WARNING, f"{told}; it holds no plan", advice)
    if trust == "lost":
        return Finding("wearable", Verdict.FAILED, f"{told}; it has lost its keys and takes nothing", "reset it")
    if unsigned:
        return Finding("wearable", Verdict.FAILED, f"{told}; {unsigned}", "sign the plan and push it")
    if trusted is not None and told_keys is not None and told_keys.key_ids != trusted.newest.key_ids:
        told += f"; it trusts set {told_keys.number} of {told_keys.site}, the file holds set {trusted.newest.number}"
        return Finding("wearable", Verdict.WARNING, told, "give it the newest with `biotrain trust --keys FILE`")
    if trust != "signed":
        told += "; development mode: it has no keys and takes any plan"
        return Finding("wearable", Verdict.WARNING, told, "give it those of its site with `biotrain trust`")
    return Finding("wearable", Verdict.OK, f"{told}, model {info.model}, weights version {info.weights_version}")
