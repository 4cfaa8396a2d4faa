"""The protocol file: its course, and an error with file, field and fix for whatever is wrong."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from biotrain.cli import main
from device_agent.cueing.protocol import read_protocol, trials
from schemas.errors import UserError

GOOD = """
channels: [vertical, horizontal]
sampling_rate_hz: 500
cues: {left: "Look left", right: "Look right", rest: "Look ahead"}
repetitions: 4
window: {start_s: 0.5, length_s: 2}
timing: {ready_s: 0.5, cue_s: 3, rest_s: [1, 2]}
breaks: {every: 5, length_s: 10}
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "protocol.yaml"
    file.write_text(text)
    return file


def test_every_class_comes_once_before_any_comes_again_and_the_course_is_seeded(tmp_path: Path) -> None:
    protocol = read_protocol(written(tmp_path, GOOD))
    course = trials(protocol)
    assert [trial.number for trial in course] == list(range(1, 13))
    for start in range(0, 12, 3):
        assert {trial.label for trial in course[start : start + 3]} == {"left", "right", "rest"}
    assert course == trials(protocol)
    assert [trial.number for trial in course if trial.breaks] == [5, 10]
    assert all(1 <= trial.rest_s <= 2 for trial in course)
    blocks = trials(read_protocol(written(tmp_path, GOOD + "order: blocks\n")))
    assert [t.label for t in blocks] == ["left"] * 4 + ["right"] * 4 + ["rest"] * 4
    assert Counter(t.label for t in blocks) == Counter(t.label for t in course)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("repetitions: 4", "repetitons: 4", "repetitons: there is no such field: did you mean 'repetitions'"),
        ("cue_s: 3", "que_s: 3", r"timing\.que_s: there is no such field: did you mean 'cue_s'"),
        ("repetitions: 4", "repetitions: none", "repetitions: Input should be a valid integer"),
        ("repetitions: 4", "repetitions: 0", "repetitions: Input should be greater than or equal to 1"),
        ("channels: [vertical, horizontal]", "", "channels: Field required"),
        ("[vertical, horizontal]", "[vertical, vertical]", "channels: one is named twice"),
        ("length_s: 2}", "length_s: 20}", r"window: ends 20\.5 s after the cue.*make timing.cue_s longer"),
        ("start_s: 0.5", "start_s: -3", "window.start_s: -3 begins before its trial"),
        ("rest_s: [1, 2]", "rest_s: [2, 1]", "timing: .*give the shortest and the longest pause"),
        ('{left: "Look left", right: "Look right", rest: "Look ahead"}', "[left]", "cues: .*at least 2 items"),
        ("500", "[", "not a readable YAML file"),
    ],
)
def test_a_typo_is_named_with_file_field_and_fix(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(UserError, match=said) as error:
        read_protocol(written(tmp_path, GOOD.replace(old, new, 1)))
    assert str(tmp_path / "protocol.yaml") in str(error.value)


def test_a_file_that_is_not_there_or_holds_no_protocol_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such protocol file"):
        read_protocol(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="expected a protocol"):
        read_protocol(written(tmp_path, "- a\n- b\n"))


def test_a_protocol_is_checked_without_a_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, GOOD)
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["calibrate", str(file), "--check", "--json"])
    assert json.loads(capsys.readouterr().out)["classes"] == ["left", "right", "rest"]
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["calibrate", str(file)])
    assert "--subject NAME and --session NUMBER" in capsys.readouterr().err
