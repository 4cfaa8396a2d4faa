"""May a plan that came from outside go to the wearable? The one place where the agent decides it."""

from __future__ import annotations

from dataclasses import dataclass

from device_agent.trusted import TrustedKeys
from device_agent.wearable.api import WearableInfo
from schemas.errors import UserError
from schemas.plan import Plan, read_plan
from schemas.weights import read_weights


@dataclass(frozen=True, slots=True)
class Admitted:
    """A plan, checked, with the weights that it begins with, where some came."""

    plan: Plan
    plan_file: bytes
    weights_file: bytes | None
    weights_hash: str | None


def admit(
    plan_file: bytes, weights_file: bytes | None, info: WearableInfo, trusted: TrustedKeys | None = None
) -> Admitted:
    """Raises UserError: damaged, not signed by one of the keys that are trusted, weights of another plan, or windows of
    another shape than those that are streamed.

    A change of shape or of classes is another source, and so another start of the agent.
    """
    plan = read_plan(plan_file) if trusted is None else trusted.check_plan(plan_file)
    header = plan.header
    classes = tuple(map(str, plan.names.get("classes", ()))) or info.classes
    comparisons: list[tuple[str, object, object]] = [
        ("channels", len(info.channels), header.channels),
        ("samples per window", info.samples, header.samples),
        ("sampling rate", f"{info.sampling_rate_hz:g} Hz", f"{header.sampling_rate_hz:g} Hz"),
        ("classes", ", ".join(info.classes), ", ".join(classes)),
    ]
    for what, streamed, made_for in comparisons:
        if streamed != made_for:
            raise UserError(
                f"{what}: the plan {header.model!r} was made for {made_for}, the stream has {streamed}: start the "
                "agent anew with a source that fits it"
            )
    weights = None if weights_file is None else read_weights(weights_file, plan.hash)
    if weights_file is not None and trusted is not None:
        trusted.check_weights(weights_file, plan_file, info.device_id)
    return Admitted(plan, plan_file, weights_file, None if weights is None else weights.hash)
