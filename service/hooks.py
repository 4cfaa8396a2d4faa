"""Finds alert hooks: async functions of one `schemas.alert.Alert`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points

from schemas.alert import Alert
from schemas.errors import UserError

ENTRY_POINTS = "biotrain.alert_hooks"


@dataclass(frozen=True, slots=True)
class Hook:
    """`name` is what the store knows it by: a changed name is a new hook."""

    name: str
    function: Callable[[Alert], Awaitable[object]]


def find_hooks(named: Sequence[str] = ()) -> list[Hook]:
    """Those of installed packages, and those named `module:function`. Raises UserError for one that cannot be used."""
    hooks: dict[str, Hook] = {}
    for entry_point in entry_points(group=ENTRY_POINTS):
        try:
            function = entry_point.load()
        except Exception as error:
            raise UserError(
                f"alert hook {entry_point.name!r} of the installed packages cannot be imported: "
                f"{type(error).__name__}: {error}"
            ) from error
        hooks[entry_point.value] = _checked(entry_point.value, function)
    for name in named:
        hooks[name] = _checked(name, _load(name))
    return list(hooks.values())


def _load(name: str) -> object:
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise UserError(f"alert hook {name!r}: write module:function, e.g. my_hooks:send_mail")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise UserError(
            f"alert hook {name!r}: module {module_name!r} cannot be imported ({type(error).__name__}: {error}); "
            "run in its folder, or install it"
        ) from error
    function = getattr(module, attribute, None)
    if function is None:
        raise UserError(f"alert hook {name!r}: module {module_name!r} has no {attribute!r}")
    return function


def _checked(name: str, function: object) -> Hook:
    if not callable(function):
        raise UserError(f"alert hook {name!r} is not a function")
    if not inspect.iscoroutinefunction(function) and not inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004  an object with an async __call__ is fine too
    ):
        raise UserError(f"alert hook {name!r} must be an async function of one alert: async def hook(alert): ...")
    return Hook(name, function)
