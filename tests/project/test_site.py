"""The documentation as a site: every page is in its table of contents, every link resolves, every block is true."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from biotrain.cli import COMMANDS, function_of
from biotrain.settings_file import SettingsFile, defaults_of, options

TUTORIALS = ("tutorials/engineer.md", "tutorials/researcher.md", "tutorials/operator.md")
GUIDES = (
    *TUTORIALS,
    "sources.md",
    "hosts.md",
    "settings.md",
    "extending.md",
    "wearers-and-occasions.md",
    "operator.md",
)


@pytest.fixture(scope="module")
def docs(repository: Path) -> Path:
    return repository / "docs"


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


def commands(path: Path) -> list[list[str]]:
    """`biotrain` lines of a page's shell blocks and of its tables, split into words."""
    lines = [line for block in blocks(path, "sh") for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"^\| `(biotrain [^`]+)` \|", path.read_text(encoding="utf-8"), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines if line.startswith("biotrain ")]


def test_every_page_is_in_the_table_of_contents_and_there(docs: Path, repository: Path) -> None:
    text = (repository / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r": ([\w/-]+\.md)$", text, re.MULTILINE))
    there = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    assert named == there


def test_every_link_between_pages_resolves(docs: Path, repository: Path) -> None:
    for page in [*docs.rglob("*.md"), repository / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("name", TUTORIALS + GUIDES)
def test_every_command_of_the_guides_knows_its_options(docs: Path, name: str) -> None:
    for _, command, *words in commands(docs / name):
        assert command in COMMANDS, command
        known = {*options(function_of(command)), "help"}
        for word in words:
            if word.startswith("--"):
                assert word.removeprefix("--").replace("-", "_") in known, f"{name}: biotrain {command} {word}"


def test_the_settings_file_of_the_guide_is_taken_by_every_command(docs: Path) -> None:
    (text,) = blocks(docs / "settings.md", "toml")
    sections = tomllib.loads(text)
    file = SettingsFile(
        Path("biotrain.toml"), {n: {k.replace("-", "_"): v for k, v in s.items()} for n, s in sections.items()}
    )
    for command in sections.keys() & COMMANDS.keys():
        assert len(defaults_of(command, function_of(command), file)) >= len(sections[command])


def test_the_data_sets_and_the_protocol_of_the_guides_are_taken(docs: Path) -> None:
    from device_agent.cueing.protocol import Protocol
    from device_agent.sources.dataset import DatasetFile
    from device_agent.sources.mne_files import Reading

    texts = blocks(docs / "sources.md", "yaml") + blocks(docs / "tutorials/researcher.md", "yaml")
    kinds = []
    for content in map(yaml.safe_load, texts):
        if "cues" in content:
            Protocol.model_validate(content)
        else:
            Reading.model_validate(DatasetFile.model_validate(content).reading)
        kinds.append("cues" in content)
    assert sorted(kinds) == [False, False, True]


@pytest.mark.slow
def test_the_network_and_the_hook_of_the_guide_work_from_an_empty_folder(docs: Path, tmp_path: Path) -> None:
    from tests.service.test_hooks import an_alert

    for block in blocks(docs / "extending.md", "python"):
        (tmp_path / block.splitlines()[0].removeprefix("# ")).write_text(block)
    (words,) = [line for line in commands(docs / "extending.md") if line[1] == "plan"]
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["params"] > 0
    spec = importlib.util.spec_from_file_location("my_hooks", tmp_path / "my_hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    import asyncio

    asyncio.run(module.note(an_alert()))


@pytest.mark.slow
def test_the_site_builds_without_a_warning(repository: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("material") is None or importlib.util.find_spec("mkdocstrings") is None:
        pytest.skip("the site's tools are not installed: pip install 'biotrain[docs]'")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "--site-dir", str(tmp_path / "site")],
        cwd=repository, capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "reference" / "index.html").stat().st_size > 20_000
