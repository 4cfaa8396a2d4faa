"""Which settings file is in force, and what the environment changes of it."""

from __future__ import annotations

import os

from biotrain.cli import COMMANDS, function_of
from biotrain.doctor.finding import Deployment, Finding, Verdict
from biotrain.settings_file import NAME, PREFIX, VARIABLE, Option, defaults_of, options, read_settings, variable

_SECRET = ("token", "password", "secret", "passphrase")


def check_settings(deployment: Deployment) -> list[Finding]:
    """Every section as its command would take it, and every variable that overrides something. Raises UserError."""
    file = read_settings(COMMANDS)
    if file is None:
        found = [Finding("settings", Verdict.SKIPPED, f"no settings file: neither {VARIABLE} nor ./{NAME}")]
    else:
        told = []
        for command in file.sections.keys() & COMMANDS.keys():
            defaults_of(command, function_of(command), file)
            shown = {k: "***" if any(word in k for word in _SECRET) else v for k, v in file.sections[command].items()}
            told.append(f"{command}: " + ", ".join(f"{key} = {value}" for key, value in shown.items()))
        found = [Finding("settings", Verdict.OK, f"{file.path}: {'; '.join(sorted(told)) or 'empty'}")]
    known = {variable(c, o.parameter): (c, key) for c in COMMANDS for key, o in _options(c).items()}
    for name in sorted(os.environ):
        if name in known:
            found.append(Finding("settings", Verdict.OK, f"{name} overrides {known[name][1]} of [{known[name][0]}]"))
        elif any(name.startswith(f"{PREFIX}_{command.upper()}_") for command in COMMANDS):
            advice = "unset it, or correct its name: BIOTRAIN_COMMAND_OPTION"
            found.append(Finding("settings", Verdict.WARNING, f"{name} sets nothing: no option has this name", advice))
    return found


def _options(command: str) -> dict[str, Option]:
    return options(function_of(command)) if any(_mentions(name, command) for name in os.environ) else {}


def _mentions(name: str, command: str) -> bool:
    return name.startswith(f"{PREFIX}_{command.upper()}_")
