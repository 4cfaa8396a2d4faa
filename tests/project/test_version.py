"""The version is the newest tag's, in whatever form the tree comes; each as the build back end finds it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

from biotrain.cli import main

FIND = "from scikit_build_core.metadata.setuptools_scm import dynamic_metadata as find; print(find('version', {}))"


def git(folder: Path, *words: str) -> None:
    identity = (
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.org",
        "-c",
        "tag.gpgSign=false",
        "-c",
        "commit.gpgSign=false",
    )
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, timeout=60)


def found(folder: Path) -> Version:
    done = subprocess.run(
        [sys.executable, "-c", FIND], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return Version(done.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """Three commits with our settings, the second one tagged."""
    folder = tmp_path_factory.mktemp("tree")
    shutil.copy(repository / "pyproject.toml", folder)
    git(folder, "init", "-q")
    for number in range(3):
        (folder / "file").write_text(str(number))
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", str(number))
        if number == 1:
            git(folder, "tag", "v1.4.0")
    return folder


def clone(tree: Path, folder: Path, *options: str) -> Path:
    git(folder, "clone", "-q", *options, f"file://{tree}", "clone")
    return folder / "clone"


def test_a_tagged_commit_has_its_tags_version_and_a_later_one_is_before_the_next(tree: Path, tmp_path: Path) -> None:
    mine = clone(tree, tmp_path)
    later = found(mine)
    assert later.base_version == "1.4.1"
    assert later.dev == 1
    git(mine, "checkout", "-q", "v1.4.0")
    assert str(found(mine)) == "1.4.0"


def test_a_clone_without_tags_and_a_shallow_one_are_built_too(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    assert found(clone(tree, tmp_path / "all", "--no-tags")).dev == 3
    assert found(clone(tree, tmp_path, "--no-tags", "--depth", "1")).is_devrelease


def test_an_sdist_says_its_version_itself(repository: Path, tmp_path: Path) -> None:
    shutil.copy(repository / "pyproject.toml", tmp_path)
    (tmp_path / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: biotrain\nVersion: 1.4.0\n")
    assert str(found(tmp_path)) == "1.4.0"


def test_an_archive_of_the_tree_has_one_that_is_below_every_release(repository: Path, tmp_path: Path) -> None:
    shutil.copy(repository / "pyproject.toml", tmp_path)
    assert found(tmp_path) < Version("0.1.0")


def test_the_command_line_tells_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.split()[-1] == version("biotrain")
