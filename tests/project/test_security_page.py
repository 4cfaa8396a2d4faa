"""docs/security.md: every test that it names is there, and every command known."""

from __future__ import annotations

import re
from pathlib import Path

from biotrain.cli import COMMANDS


def test_every_test_of_the_threat_model_is_there(repository: Path) -> None:
    text = (repository / "docs" / "security.md").read_text()
    named = re.findall(r"`(tests/[a-z_/]+(?:\.py)?)(?:::(test_[a-z0-9_]+))?`", text)
    assert len(named) > 20
    for path, test in named:
        assert (repository / path).exists(), path
        if test:
            assert f"def {test}(" in (repository / path).read_text(), test


def test_every_command_and_file_is_there(repository: Path) -> None:
    for name in ("docs/security.md", "deploy/README.md"):
        text = (repository / name).read_text()
        assert set(re.findall(r"(?:`|^|/)biotrain ([a-z]+)\b", text, re.MULTILINE)) <= COMMANDS.keys(), name
        for path in re.findall(r"`((?:deploy|tools)/[A-Za-z0-9_./@-]+)`", text):
            assert (repository / path).exists(), path
