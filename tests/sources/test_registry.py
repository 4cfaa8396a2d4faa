"""What is registered is documented, and what is documented is registered."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from device_agent.sources.formats import READERS
from device_agent.sources.registry import SOURCES, SourceOptions, open_source
from schemas.errors import UserError


def test_every_source_and_every_format_has_its_line_in_the_documentation(repository: Path) -> None:
    sources, formats = (repository / "docs" / "sources.md").read_text(encoding="utf-8").split("## File formats")
    assert set(re.findall(r"^\| `([a-z][\w-]*)` \|", sources, re.MULTILINE)) == set(SOURCES)
    assert set(re.findall(r"^\| `([a-z][\w-]*)` \|", formats, re.MULTILINE)) == set(READERS)


def test_every_source_and_every_format_has_a_test(repository: Path) -> None:
    tests = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("sources", "agent")
        for path in (repository / "tests" / folder).glob("*.py")
    )
    for name in SOURCES:
        assert f'"{name}"' in tests, f"no test opens source {name}"
    for name in READERS:
        assert re.search(rf"format: {name}|{name}", tests), f"no test reads format {name}"


def test_an_unknown_source_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="choose one of recordings, simulator"):
        open_source("webcam", SourceOptions())
