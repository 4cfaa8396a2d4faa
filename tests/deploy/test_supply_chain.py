"""What is installed beside us: pinned with hashes, and under licences that are allowed."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from email.message import EmailMessage
from importlib.metadata import requires
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@pytest.fixture(scope="module")
def lock(repository: Path) -> dict[str, str]:
    """Name and entry of each package."""
    text = (repository / "deploy" / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-z0-9])", text)
    return {entry.partition("==")[0]: entry for entry in entries if "==" in entry}


@pytest.fixture(scope="module")
def licences(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("licences", repository / "tools" / "licences.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_package_of_the_lock_has_hashes(lock: dict[str, str]) -> None:
    assert len(lock) > 30
    for name, entry in lock.items():
        assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", entry)) >= 1, name
        assert "://" not in re.sub(r"#.*", "", entry), "the lock names no server"


@pytest.mark.parametrize("extra", ["", "river", "trust", "postgres", "parquet", "ble"])
def test_the_lock_holds_what_the_package_asks_for_today(lock: dict[str, str], extra: str) -> None:
    """A dependency that is added or raised needs `tools/lock.sh`."""
    asked = [Requirement(text) for text in requires("biotrain") or []]
    wanted = [one for one in asked if (f'"{extra}"' in str(one.marker) if extra else one.marker is None)]
    assert wanted
    for requirement in wanted:
        entry = lock[canonicalize_name(requirement.name)]
        version = re.match(r"[^=]+==([^ ;\\]+)", entry)
        assert version is not None
        assert requirement.specifier.contains(version.group(1)), f"{requirement}: {version.group(1)} is locked"


def test_the_bill_of_materials_is_that_of_the_lock(repository: Path, lock: dict[str, str]) -> None:
    words = [sys.executable, "tools/sbom.py", "--check"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, cwd=repository)
    assert (done.returncode, done.stderr) == (0, "")
    bill = json.loads((repository / "deploy" / "sbom.json").read_text())
    assert {component["name"] for component in bill["components"]} == lock.keys()
    assert len({component["bom-ref"] for component in bill["components"]}) == len(bill["components"])


def test_every_licence_is_allowed_and_listed(repository: Path) -> None:
    words = [sys.executable, "tools/licences.py", "--check"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, cwd=repository)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"License-Expression": "MIT OR GPL-3.0-only"}, True),
        ({"License-Expression": "MIT AND GPL-3.0-only"}, False),
        ({"Classifier": "License :: OSI Approved :: GNU Affero General Public License v3"}, False),
        ({"License": "Apache License 2.0\nand its whole text"}, True),
        ({}, False),
    ],
)
def test_a_licence_that_is_not_allowed_would_be_found(
    licences: ModuleType, headers: dict[str, str], allowed: bool
) -> None:
    package = EmailMessage()
    for name, value in headers.items():
        package.add_header(name, value.replace("\n", " ") if name != "License" else value.partition("\n")[0])
    assert all(licences.is_allowed(one) for one in licences.licences_of(package)) is allowed
