"""One TOML file for all processes: order of precedence, and an error with file, field and fix for every typo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from biotrain.cli import COMMANDS, function_of
from biotrain.settings_file import defaults_of, read_settings
from schemas.errors import UserError

GOOD = """
[all]
broker = "broker.example:1883"

[agent]
telemetry-period = 2.5
group = ["left", "right"]
compare_frozen = true

[supervisor]
listen = "127.0.0.1:9000"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BIOTRAIN_CONFIG", raising=False)
    return tmp_path


def defaults(folder: Path, text: str, command: str) -> dict[str, object]:
    (folder / "biotrain.toml").write_text(text)
    return defaults_of(command, function_of(command), read_settings(COMMANDS))


def run(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "biotrain", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip


def test_a_commands_section_and_what_all_share_are_taken(folder: Path) -> None:
    assert defaults(folder, GOOD, "agent") == {
        "broker": "broker.example:1883", "telemetry_period": "2.5", "group": ["left", "right"], "compare_frozen": True,
    }  # fmt: skip
    assert defaults(folder, GOOD, "supervisor") == {"broker": "broker.example:1883", "listen": "127.0.0.1:9000"}
    assert defaults(folder, GOOD, "schema") == {}, "it has no broker"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[agent]", "[agnet]", r"\[agnet\]: there is no such command: did you mean 'agent'"),
        ("telemetry-period", "telemetry-perod", r"agent\.telemetry_perod: .* did you mean 'telemetry_period'"),
        ("2.5", '"often"', r"agent\.telemetry_period: is 'often': Input should be a valid number"),
        ("= true", '= "yes"', r"agent\.compare_frozen: is 'yes', expected true or false"),
        ("2.5", "[1, 2]", r"agent\.telemetry_period: is \[1, 2\]: Input should be a valid number"),
        ("2.5", "", "not a readable TOML file"),
        ("broker =", "brokr =", r"all\.brokr: no command has such an option: did you mean 'broker'"),
        ("[all]", "agent = 1\n[all]", "not a readable TOML|agent: expected a section"),
    ],
)
def test_a_typo_is_named_with_file_field_and_fix(folder: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(UserError, match=said) as error:
        defaults(folder, GOOD.replace(old, new, 1), "agent")
    assert "biotrain.toml" in str(error.value)


def test_a_named_file_that_is_not_there_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings(COMMANDS) is None
    monkeypatch.setenv("BIOTRAIN_CONFIG", str(folder / "none.toml"))
    with pytest.raises(UserError, match=r"none\.toml: there is no such settings file: check BIOTRAIN_CONFIG"):
        read_settings(COMMANDS)


def test_the_line_goes_before_the_environment_and_that_before_the_file(folder: Path) -> None:
    (folder / "biotrain.toml").write_text('[schema]\nout = "from-file"\n')
    assert json.loads(run("schema", "--json", folder=folder).stdout)["folder"] == "from-file"
    changed = {"BIOTRAIN_SCHEMA_OUT": "from-environment"}
    assert json.loads(run("schema", "--json", folder=folder, **changed).stdout)["folder"] == "from-environment"
    wrong = run("agent", folder=folder, BIOTRAIN_AGENT_RISK="often")
    assert wrong.returncode == 2
    assert "BIOTRAIN_AGENT_RISK: is 'often': Input should be a valid number" in wrong.stderr
    line = run("schema", "--out", "from-line", "--json", folder=folder, **changed)
    assert json.loads(line.stdout)["folder"] == "from-line"


def test_doctor_explains_file_and_environment_and_looks_at_what_agent_and_supervisor_are_given(folder: Path) -> None:
    (folder / "biotrain.toml").write_text('[agent]\nstate_dir = "kept"\n[supervisor]\nadmin-token = "s3cret"\n')
    said = run("doctor", "--json", folder=folder, BIOTRAIN_AGENT_RISK="0.01", BIOTRAIN_AGENT_RIKS="1")
    findings = json.loads(said.stdout)["findings"]
    mine = [finding for finding in findings if finding["check"] == "settings"]
    assert "agent: state_dir = kept; supervisor: admin_token = ***" in mine[0]["detail"]
    assert "s3cret" not in said.stdout
    assert any("BIOTRAIN_AGENT_RISK overrides risk of [agent]" in finding["detail"] for finding in mine)
    (wrong,) = [finding for finding in mine if finding["verdict"] == "warning"]
    assert "BIOTRAIN_AGENT_RIKS sets nothing" in wrong["detail"]
    assert any("kept" in finding["detail"] for finding in findings if finding["check"] != "settings")


def test_shells_complete_commands_and_options() -> None:
    def complete(line: str) -> str:
        environment = {
            "_BIOTRAIN_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1),
        }  # fmt: skip
        return run(folder=Path.cwd(), **environment).stdout

    assert "supervisor" in complete("biotrain sup")
    assert "--state-dir" in complete("biotrain agent --st")


def test_no_colour_is_printed_where_none_is_wanted(folder: Path) -> None:
    for words in (("doctor",), ("agent", "--help")):
        assert "\x1b[3" not in run(*words, folder=folder, NO_COLOR="1", FORCE_COLOR="1").stdout
