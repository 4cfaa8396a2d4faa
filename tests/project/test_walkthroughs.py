"""Every command of README and guides does what it says, and the few that cannot be run here say why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.project.walkthrough import Block, Walk, read_blocks

PAGES = (
    "README.md",
    "docs/tutorials/engineer.md",
    "docs/tutorials/researcher.md",
    "docs/tutorials/operator.md",
    "docs/extending.md",
    "docs/hosts.md",
    "docs/operator.md",
    "docs/sources.md",
)
MOST_NOT_RUN = 16
"""Blocks with a reason, of all pages together."""


def recordings(folder: Path) -> None:
    """What the researcher brings along: EDF files of three people, two days each, cues T1 and T2."""
    pyedflib = pytest.importorskip("pyedflib")
    pytest.importorskip("mne")
    rng, rate, cues = np.random.default_rng(0), 64, 16
    time_s = np.arange((2 + 5 * cues) * rate) / rate
    for who in ("anna", "bert", "cleo"):
        for day in (1, 2):
            values = rng.normal(0, 10, (3, len(time_s)))
            path = folder / who / f"day{day}.edf"
            path.parent.mkdir(parents=True, exist_ok=True)
            with pyedflib.EdfWriter(str(path), 3, file_type=pyedflib.FILETYPE_EDFPLUS) as file:
                for index, name in enumerate(("C3", "Cz", "C4")):
                    file.setSignalHeader(
                        index,
                        {
                            "label": name, "dimension": "uV", "sample_frequency": rate, "physical_max": 200.0,
                            "physical_min": -200.0, "digital_max": 32767, "digital_min": -32768, "transducer": "",
                            "prefilter": "",
                        },
                    )  # fmt: skip
                for cue in range(cues):
                    at, side = 1.0 + 5 * cue, int(rng.integers(2))
                    during = (time_s >= at) & (time_s < at + 4)
                    values[2 * side, during] += 15 * np.sin(2 * np.pi * 11 * time_s[during])
                    file.writeAnnotation(at, 4.0, f"T{side + 1}")
                file.writeSamples(list(values))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES)
def test_a_newcomers_way_through_the_page(page: str, repository: Path, tmp_path: Path) -> None:
    if "researcher" in page:
        recordings(tmp_path / "mine")
    with Walk(tmp_path, repository) as walk:
        for block in read_blocks(repository / page):
            walk.do(block)


def test_what_is_not_run_is_little_and_says_why(repository: Path) -> None:
    left_out = [
        (page, block.how.removeprefix("not run: "))
        for page in PAGES
        for block in read_blocks(repository / page)
        if block.how.startswith("not run")
    ]
    assert len(left_out) <= MOST_NOT_RUN, left_out
    assert all(len(reason.split()) >= 4 for _, reason in left_out)


def test_a_block_that_fails_is_noticed(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no such folder"):
        Walk(tmp_path, repository).do(Block("sh", "biotrain data nowhere\n", ""))


def test_a_process_beside_that_fails_is_noticed(repository: Path, tmp_path: Path) -> None:
    walk = Walk(tmp_path, repository)
    walk.do(Block("sh", "bash -c 'echo up; sleep 0.2; exit 3'\n", "beside"))
    walk.do(Block("sh", "sleep 1\n", ""))
    with pytest.raises(AssertionError, match="code 3"):
        walk.__exit__(None, None, None)
