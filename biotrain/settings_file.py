"""One TOML file for all processes: a section for each command, `[all]` for every command that has the option.

Options on the command line go first, then the environment (BIOTRAIN_AGENT_BROKER for `broker` of `[agent]`), then this
file, then the defaults. The file is BIOTRAIN_CONFIG, else `biotrain.toml` in the folder where the command is run.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from schemas.errors import UserError

VARIABLE = "BIOTRAIN_CONFIG"
NAME = "biotrain.toml"
PREFIX = "BIOTRAIN"
_SHARED = "all"
#: What `doctor` looks at is what these are started with.
_OF_DOCTOR = ("agent", "supervisor", "doctor")


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """`sections`: command -> option (with `_` for `-`) -> value."""

    path: Path
    sections: Mapping[str, Mapping[str, Any]]


def read_settings(commands: Mapping[str, str]) -> SettingsFile | None:
    """None where there is no file. Raises UserError: a file that is named and not there, no TOML, unknown sections."""
    named = os.environ.get(VARIABLE)
    path = Path(named) if named else Path(NAME)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named:
            raise UserError(f"{path}: there is no such settings file: check {VARIABLE}") from None
        return None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path}: not a readable TOML file: {error}") from None
    for name, section in content.items():
        if name != _SHARED and name not in commands:
            raise UserError(f"{path}: [{name}]: there is no such command{_near(name, [*commands, _SHARED])}")
        if not isinstance(section, dict):
            raise UserError(f"{path}: {name}: expected a section, [{name}], with option = value lines")
    sections = {name: {key.replace("-", "_"): v for key, v in section.items()} for name, section in content.items()}
    return SettingsFile(path, sections)


def defaults_of(command: str, function: Callable[..., Any], file: SettingsFile | None) -> dict[str, Any]:
    """Parameter -> value, for click's `default_map`. Raises UserError with file, field and fix."""
    if file is None:
        return {}
    known = options(function)
    shared = {key: value for key, value in file.sections.get(_SHARED, {}).items() if key in known}
    _check_shared(file, known)
    own = dict(file.sections.get(command, {}))
    if command == "doctor":
        for section in _OF_DOCTOR:
            mine = file.sections.get(section, {})
            own |= {key: value for key, value in mine.items() if key in known or section == "doctor"}
    found: dict[str, Any] = {}
    for key, value in {**shared, **own}.items():
        place = f"{file.path}: {command if key in own else _SHARED}.{key}"
        if key not in known:
            raise UserError(f"{place}: `biotrain {command}` has no such option{_near(key, known)}")
        found[known[key].parameter] = _checked(value, known[key].kind, place)
    return found


def _check_shared(file: SettingsFile, known: Mapping[str, Option]) -> None:
    """An option that this command lacks must be one of another's."""
    strange = [key for key in file.sections.get(_SHARED, {}) if key not in known]
    if not strange:
        return
    from biotrain.cli import COMMANDS, function_of

    every = set().union(*(options(function_of(command)) for command in COMMANDS))
    for key in strange:
        if key not in every:
            raise UserError(f"{file.path}: {_SHARED}.{key}: no command has such an option{_near(key, every)}")


def environment_of(command: str, function: Callable[..., Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Parameter -> value of its variable; several values are parted by spaces. Raises UserError with the variable."""
    if not any(name.startswith(variable(command, "")) for name in environment):
        return {}
    found: dict[str, Any] = {}
    for option in options(function).values():
        text = environment.get(variable(command, option.parameter))
        if text is not None:
            several = "list" in str(option.kind)
            found[option.parameter] = _typed(
                text.split() if several else text, option.kind, variable(command, option.parameter)
            )
    return found


@dataclass(frozen=True, slots=True)
class Option:
    """What stands behind `--` belongs to this parameter of the command's function."""

    parameter: str
    kind: Any
    """Its type."""


def options(function: Callable[..., Any]) -> dict[str, Option]:
    """With `_` for `-`; positional arguments are not for files."""
    found: dict[str, Option] = {}
    for name, hint in get_type_hints(function, include_extras=True).items():
        kind, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        info = next((note for note in notes if type(note).__name__ == "OptionInfo"), None)
        if info is None:
            continue
        given = (info.default, *(info.param_decls or ()))  # in Annotated the first one stands where a default would
        words = [word for word in given if isinstance(word, str) and word.startswith("--")] or [f"--{name}"]
        for word in "/".join(words).split("/"):
            found[word.removeprefix("--").replace("-", "_")] = Option(name, kind)
    return found


def _checked(value: Any, kind: Any, place: str) -> Any:
    """As the command line would take it; a whole number may stand for one with a fraction."""
    flag = kind is bool
    if flag != isinstance(value, bool):
        raise UserError(f"{place}: is {value!r}, expected {'true or false' if flag else 'a value'}")
    return _typed(value, kind, place)


def _typed(value: Any, kind: Any, place: str) -> Any:
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    try:
        read = TypeAdapter(kind, config=ConfigDict(coerce_numbers_to_str=True)).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UserError(f"{place}: is {value!r}: {first['msg']}") from None
    return read if isinstance(read, bool) else value if isinstance(value, list) else str(value)


def _near(name: str, known: Any) -> str:
    found = difflib.get_close_matches(name.replace("-", "_"), list(known), 1, 0.6)
    return f": did you mean {found[0]!r}?" if found else f": there are {', '.join(sorted(known))}"


def variable(command: str, parameter: str) -> str:
    """The environment variable of a command's option."""
    return f"{PREFIX}_{command}_{parameter}".upper().replace("-", "_")
