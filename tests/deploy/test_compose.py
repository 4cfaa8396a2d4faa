"""compose.yaml as far as it goes without a container engine: its schema, files, commands, and no secret in it."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from biotrain.cli import function_of
from biotrain.settings_file import options


@pytest.fixture
def folder(repository: Path) -> Path:
    return repository / "deploy"


@pytest.fixture
def services(folder: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((folder / "compose.yaml").read_text())["services"])


def test_the_compose_specifications_schema_takes_it(folder: Path) -> None:
    if importlib.util.find_spec("check_jsonschema") is None:
        pytest.skip("check-jsonschema is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_every_file_that_is_mounted_or_built_from_is_there(folder: Path, services: dict[str, Any]) -> None:
    mounted = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ())]
    files = [name for name in mounted if name.startswith(".")]
    assert len(files) >= 4
    assert [name for name in files if not (folder / name).exists()] == []
    build = services["supervisor"]["build"]
    assert (folder / build["context"] / build["dockerfile"]).is_file()


def test_the_supervisor_knows_its_options(services: dict[str, Any]) -> None:
    command, *words = services["supervisor"]["command"]
    known = options(function_of(command))
    names = [word.removeprefix("--").split("=")[0].replace("-", "_") for word in words]
    assert len(names) >= 3
    assert set(names) <= set(known)


def test_only_loopback_is_published_and_no_secret_has_a_default(folder: Path, services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
    text = (folder / "compose.yaml").read_text()
    secrets = re.findall(r"\w*(?:PASSWORD|TOKEN)\w*: (.+)", text)
    assert len(secrets) >= 4
    assert all(re.fullmatch(r"\$\{\w+:\?[^}]+\}", value) for value in secrets)


def test_no_container_has_root_a_capability_or_a_system_that_can_be_written(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], f"{name}: and the engine's own seccomp profile"
        assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & service.keys(), name
        user = str(service.get("user", "built"))
        assert user == "built" if "build" in service else int(user.split(":")[0]) > 0, name
        assert service["pids_limit"] <= 200, name


def test_the_container_ends_with_a_user_of_its_own_and_the_command(folder: Path) -> None:
    lines = (folder / "Containerfile").read_text().splitlines()
    words = [line.split(" ", 1)[0] for line in lines if line and not line.startswith("#")]
    assert set(words) <= {"FROM", "RUN", "COPY", "USER", "WORKDIR", "EXPOSE", "ENTRYPOINT", "CMD"}
    assert words[0] == "FROM"
    user = next(line for line in lines if line.startswith("USER "))
    assert int(user.removeprefix("USER ")) >= 1000
    assert 'ENTRYPOINT ["/opt/biotrain/bin/biotrain"]' in lines
