import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from biotrain.cli import COMMANDS


@pytest.fixture(scope="module")
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text(encoding="utf-8")


def shell_blocks(text: str) -> list[list[str]]:
    """The commands of every shell block, continued lines joined, split into words."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line) for line in lines if "<" not in line]


def test_every_command_is_in_the_readme(readme: str) -> None:
    assert [name for name in COMMANDS if f"`biotrain {name}`" not in readme] == []


def test_every_make_target_of_the_readme_is_there(readme: str, repository: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (repository / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", readme)) <= targets
    assert {"setup", "demo", "test", "clean"} <= targets


@pytest.mark.slow
def test_every_option_of_the_readme_is_known_to_its_command(readme: str) -> None:
    lines = [words for words in shell_blocks(readme) if words[0] == "biotrain"]
    assert len(lines) > 3
    for _, command, *words in lines:
        done = subprocess.run(
            [sys.executable, "-m", "biotrain", command, "--help"],
            capture_output=True, text=True, timeout=60, check=True, env={"COLUMNS": "200"},
        )  # fmt: skip
        for option in (word for word in words if word.startswith("--")):
            assert option in done.stdout, f"{command} {option}"


def test_every_path_of_the_readme_is_there(readme: str, repository: Path) -> None:
    for path in re.findall(r"^\| `([a-z_/.]+)`", readme, re.MULTILINE):
        assert (repository / path).exists(), path


def test_ci_runs_the_readmes_test_command_and_nothing_else(readme: str, repository: Path) -> None:
    script = (repository / ".ci" / "run").read_text(encoding="utf-8")
    commands = [line for line in script.splitlines() if line and not line.startswith("#")]
    assert ["make", "test"] in shell_blocks(readme)
    assert commands == ['cd "$(dirname "$0")/.." || exit 1', "exec make --no-print-directory test 2>&1"]
