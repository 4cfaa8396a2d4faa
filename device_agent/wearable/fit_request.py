"""From a fit as the agent asks for it to the body on the link; what cannot be is refused here, with words."""

from __future__ import annotations

import math

from device_agent.wearable.api import FitRequest, WearableError, WearableInfo
from schemas.link.bodies import FitBody, FitSettings
from schemas.link.opcodes import OPTIMIZERS, Capability


def fit_body(request: FitRequest, info: WearableInfo, capabilities: Capability) -> FitBody:
    """Raises WearableError: BAD_ARGUMENT for a request that does not go with the plan, UNSUPPORTED for one that the
    wearable's firmware is too old for."""
    numbers = (request.learning_rate, request.momentum, request.weight_decay)
    more = (*request.betas, request.epsilon, request.clip_norm)
    if not request.window_ids or not all(math.isfinite(value) for value in numbers + more):
        raise WearableError("BAD_ARGUMENT", "a fit needs labelled windows and finite settings")
    _check_plan(request, info)
    settings = _settings(request)
    if settings is not None and Capability.FIT_SETTINGS not in capabilities:
        raise WearableError(
            "UNSUPPORTED",
            f"the firmware {info.firmware} of {info.device_id} takes neither an optimiser's name nor Nesterov, betas, "
            "epsilon, clip_norm or warm_up with a fit: update it, or leave them out",
        )
    return FitBody(
        request.fit_id,
        request.epochs,
        request.batch_size,
        request.cosine,
        request.seed,
        *numbers,
        request.window_ids,
        settings,
    )


def _check_plan(request: FitRequest, info: WearableInfo) -> None:
    if request.optimizer not in OPTIMIZERS:
        raise WearableError(
            "BAD_ARGUMENT", f"there is no optimiser {request.optimizer!r}: choose {', '.join(OPTIMIZERS[1:])}"
        )
    if request.optimizer and info.optimizer and request.optimizer != info.optimizer:
        raise WearableError(
            "BAD_ARGUMENT",
            f"the plan trains with {info.optimizer}, the fit asks for {request.optimizer}: compile the model for "
            f"{request.optimizer}, or leave the optimiser out",
        )
    if request.nesterov and info.optimizer not in ("", "sgd"):
        raise WearableError(
            "BAD_ARGUMENT", f"Nesterov's momentum belongs to sgd, the plan trains with {info.optimizer}"
        )
    if info.batch > 1 and request.batch_size != info.batch:
        raise WearableError(
            "BAD_ARGUMENT",
            f"exact batch norm was compiled for batches of {info.batch} windows, the fit asks for "
            f"{request.batch_size}: ask for {info.batch}, or compile the model for another batch",
        )
    if len(request.window_ids) < info.batch:
        raise WearableError(
            "BAD_ARGUMENT",
            f"exact batch norm needs at least its {info.batch} windows, the fit has {len(request.window_ids)}",
        )


def _settings(request: FitRequest) -> FitSettings | None:
    """None where nothing goes beyond what every firmware takes."""
    usual = FitRequest(request.fit_id, request.window_ids)
    chosen, plain = ((r.optimizer, r.nesterov, r.warm_up, r.betas, r.epsilon, r.clip_norm) for r in (request, usual))
    if chosen == plain:
        return None
    return FitSettings(
        OPTIMIZERS.index(request.optimizer),
        request.nesterov,
        request.warm_up,
        *request.betas,
        request.epsilon,
        request.clip_norm,
    )
