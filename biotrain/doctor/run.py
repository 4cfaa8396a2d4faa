"""All checks, one after the other; one that breaks says so and does not keep the others from running."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module

from biotrain.doctor.finding import Deployment, Finding, Verdict
from schemas.errors import UserError

#: Module of this room, and its function.
CHECKS = (
    ("settings", "check_settings"),
    ("installation", "check_packages"),
    ("installation", "check_engine"),
    ("clock", "check_clock"),
    ("ports", "check_ports"),
    ("broker", "check_broker"),
    ("store", "check_store"),
    ("state", "check_state"),
    ("wearable", "check_wearable"),
)


def run_checks(deployment: Deployment) -> Iterator[Finding]:
    """All checks, one after the other; what a check cannot do is a finding, too."""
    for module, function in CHECKS:
        try:
            check: Callable[[Deployment], list[Finding]] = getattr(import_module(f"biotrain.doctor.{module}"), function)
            yield from check(deployment)
        except UserError as error:
            yield Finding(module, Verdict.FAILED, str(error))
        except ImportError as error:
            yield Finding(module, Verdict.FAILED, str(error), "a package is missing: see `packages`")
