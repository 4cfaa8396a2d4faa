"""Are Python, the packages, the extras and the built C part whole?"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from biotrain.doctor.finding import Deployment, Finding, Verdict

#: Extras for people who work on the project; nobody's deployment lacks them.
_FOR_DEVELOPERS = ("test", "dev", "docs")
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


def check_packages(deployment: Deployment) -> list[Finding]:
    """The packages that everything needs, and each extra: whole, absent, or half there."""
    needed: dict[str, list[str]] = {}
    for requirement in requires("biotrain") or []:
        extra = _EXTRA.search(requirement)
        needed.setdefault(extra.group(1) if extra else "", []).append(requirement)
    found = [_core(needed.pop("", []))]
    extras = metadata("biotrain").get_all("Provides-Extra") or []
    return found + [_extra(extra, needed.get(extra, [])) for extra in extras if extra not in _FOR_DEVELOPERS]


def check_engine(deployment: Deployment) -> list[Finding]:
    """The device's C code as a library: without it there is neither a local wearable nor an evaluation."""
    from device_agent.engine.engine import load_library

    try:
        load_library()
    except Exception as error:
        return [
            Finding("engine", Verdict.FAILED, f"the C part cannot be loaded: {error}", "install biotrain again, whole")
        ]
    return [Finding("engine", Verdict.OK, "the device's C code is built and loads")]


def _core(requirements: list[str]) -> Finding:
    running = f"biotrain {version('biotrain')}, Python {sys.version.split()[0]}"
    wrong = _wrong(requirements)
    if wrong:
        return Finding("packages", Verdict.FAILED, f"{running}; {', '.join(wrong)}", "run `pip install biotrain` again")
    return Finding("packages", Verdict.OK, f"{running}, {len(requirements)} packages")


def _extra(extra: str, requirements: list[str]) -> Finding:
    wrong = _wrong(requirements)
    install = f"pip install 'biotrain[{extra}]'"
    if not wrong:
        return Finding(f"extra {extra}", Verdict.OK, "installed")
    names = {name for requirement in requirements if (name := _name(requirement)) != "biotrain"}
    if len(wrong) >= len(names):
        return Finding(f"extra {extra}", Verdict.SKIPPED, "not installed", f"if it is needed: {install}")
    return Finding(f"extra {extra}", Verdict.WARNING, f"half installed: {', '.join(wrong)}", install)


def _wrong(requirements: list[str]) -> list[str]:
    """Packages that are missing or of a version that does not fit."""
    return [reason for requirement in requirements if (reason := _what_is_wrong(requirement))]


def _what_is_wrong(requirement: str) -> str | None:
    name = _name(requirement)
    if name == "biotrain":  # an extra made of others, each of which is looked at by itself
        return None
    try:
        installed = version(name)
    except PackageNotFoundError:
        return f"{name} is missing"
    try:
        from packaging.requirements import Requirement
    except ImportError:  # versions are pip's concern then
        return None
    wanted = Requirement(requirement).specifier
    return None if wanted.contains(installed, prereleases=True) else f"{name} {installed} does not fit {wanted}"


def _name(requirement: str) -> str:
    match = _REQUIREMENT.match(requirement)
    return match.group(1) if match else requirement
