"""The `biotrain` command: one file of `biotrain/commands` per command, imported only when it is asked for."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

import typer

from biotrain.settings_file import defaults_of, environment_of, read_settings
from schemas.errors import UserError

#: Command and its one line in `biotrain --help`. The module is `biotrain.commands.<command>`, its function `main`.
COMMANDS = {
    "demo": "The whole loop at once: broker, supervisor, virtual wearable and agent.",
    "data": "What a folder of recordings holds, and a data set file for it.",
    "pretrain": "Train a model on other people's recordings and compile it to plan and weights.",
    "plan": "What a model needs on the device: parameters, memory, multiply-accumulates, energy.",
    "evaluate": "What adaptation would have done on recordings: the paper's protocols, the whole stream.",
    "wearable": "A virtual wearable: the device's C as a process of its own.",
    "agent": "The process beside the wearable: streams, watches for drift, adapts, publishes.",
    "calibrate": "Show cues to a person and record a labelled session.",
    "convert": "What an agent has recorded as EDF+, BDF+ or a session.",
    "wearer": "The people of one device: choose, create, back up, move and erase.",
    "model": "An adapted model for other programs: ONNX, or torch's .pt.",
    "supervisor": "The host-side service: stores telemetry, raises alerts, shows the fleet.",
    "fleet": "Plans to devices: hand in, push, roll out share by share, and back.",
    "export": "Telemetry and events of a supervisor's store as CSV or Parquet.",
    "homeassistant": "Devices in Home Assistant, by MQTT discovery.",
    "broker": "An MQTT broker for trying things out.",
    "certs": "A site's certificate authority: make, renew and revoke certificates; who may do what.",
    "sign": "Sign a plan or weights with a site's key, so that devices and agents take them.",
    "trust": "Which keys a wearable trusts; give it those of its site.",
    "doctor": "What is wrong with a deployment, and what to do about it.",
    "bench": "How fast a training step is here, and how many instructions it takes on the device.",
    "schema": "Write the JSON Schemas and the AsyncAPI document of all messages.",
}


_OURS = ("biotrain", "device_agent", "messaging", "schemas", "service")


def _not_imported() -> None:
    raise AssertionError("a command that was not chosen cannot run")


def _help_text(command: Callable[..., None]) -> str:
    """The docstring; paragraphs with an indented command keep their lines (typer would join them)."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join("\b\n" + text if re.search(r"^ +\S", text, re.MULTILINE) else text for text in paragraphs)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"biotrain {version('biotrain')}")
        raise typer.Exit


def _root(
    show_version: bool = typer.Option(
        False, "--version", help="Print the version and leave.", callback=_show_version, is_eager=True
    ),
) -> None:
    """Keeps a biosignal model accurate on the person who wears it."""


def build_app(chosen: str | None) -> typer.Typer:
    """An app that lists every command, of which only `chosen` has been imported."""
    app = typer.Typer(
        name="biotrain",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name, line in COMMANDS.items():
        if name == chosen:
            function = function_of(name)
            app.command(name, help=_help_text(function), short_help=line)(function)
        else:
            app.command(name, short_help=line, help=line)(_not_imported)
    return app


def function_of(name: str) -> Callable[..., None]:
    """The command's own function, with its options."""
    found: Callable[..., None] = import_module(f"biotrain.commands.{name}").main
    return found


def _settings(chosen: str | None) -> dict[str, Any]:
    """What file and environment say for the chosen command."""
    if chosen not in COMMANDS:
        return {}
    function = function_of(chosen)
    file = defaults_of(chosen, function, read_settings(COMMANDS))
    return {chosen: file | environment_of(chosen, function, os.environ)}


def refuse_platform(platform: str) -> None:
    """Raises UserError where neither the processes nor the device's C can run."""
    if platform in ("win32", "cygwin", "emscripten", "wasi"):
        raise UserError(
            f"biotrain runs on Linux and macOS, not on {platform!r}: on Windows use it in WSL (wsl --install)"
        )


def _completing() -> str | None:
    """The command on a line that a shell wants to complete."""
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    return next((word for word in line.split()[1:] if word in COMMANDS), None)


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit codes: 0 done, 1 a fault of ours, 2 something the user can mend, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    chosen = next((word for word in words if not word.startswith("-")), None) or _completing()
    try:
        refuse_platform(sys.platform)
        settings = {} if "--help" in words or "-h" in words else _settings(chosen)
        build_app(chosen)(args=words, prog_name="biotrain", default_map=settings)
    except UserError as error:
        print(f"biotrain: {error}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in _OURS:
            raise
        print(
            f"biotrain: the package {package!r} is missing, or only half installed: `biotrain doctor` says which extra "
            "it belongs to and how to install it",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
