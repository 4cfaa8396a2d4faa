import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from biotrain.cli import COMMANDS, main, refuse_platform
from schemas.errors import UserError


def run(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "biotrain", *words], capture_output=True, text=True, timeout=60, check=False, cwd=cwd
    )


def test_help_lists_every_command_and_is_quick() -> None:
    took = []
    for _ in range(3):
        start = time.perf_counter()
        done = run("--help")
        took.append(time.perf_counter() - start)
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    # 0.2 s on an idle machine; the room above it is for a busy one.
    assert min(took) < 1.0


def test_help_imports_no_command() -> None:
    heavy = ["torch", "fastapi", "aiomqtt", "numpy", "sqlalchemy", "pydantic"]
    code = (
        "import sys\nfrom biotrain.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0, done.stderr
    # Once in the usage line, and at least once more in an example.
    assert done.stdout.count(f"biotrain {command}") >= 2


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_a_file_of_its_own(command: str, repository: Path) -> None:
    assert (repository / "biotrain" / "commands" / f"{command}.py").is_file()


def test_an_unknown_command_is_named_and_exits_2() -> None:
    done = run("trian")
    assert done.returncode == 2
    assert "trian" in done.stderr


def test_an_error_that_the_user_can_mend_has_no_traceback_and_exits_2(tmp_path: Path) -> None:
    done = run("schema", "--out", str(tmp_path / "empty"), "--check")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "biotrain schema --out" in done.stderr


def test_an_error_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(chosen: str | None) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("biotrain.cli.build_app", broken)
    with pytest.raises(ZeroDivisionError):
        main(["schema"])


@pytest.mark.parametrize("platform", ["win32", "cygwin"])
def test_an_unsupported_platform_is_told_where_it_runs(platform: str) -> None:
    with pytest.raises(UserError, match=rf"not on '{platform}': on Windows use it in WSL"):
        refuse_platform(platform)
    for supported in ("linux", "darwin"):
        refuse_platform(supported)


def test_a_package_that_is_only_half_there_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read(_: object) -> None:
        raise ModuleNotFoundError("No module named 'scipy._lib'", name="scipy._lib")

    monkeypatch.setattr("biotrain.cli.read_settings", read)
    with pytest.raises(SystemExit) as end:
        main(["schema"])
    assert end.value.code == 2
    assert "'scipy' is missing, or only half installed: `biotrain doctor`" in capsys.readouterr().err

    def ours(_: object) -> None:
        raise ModuleNotFoundError("No module named 'service.gone'", name="service.gone")

    monkeypatch.setattr("biotrain.cli.read_settings", ours)
    with pytest.raises(ModuleNotFoundError):
        main(["schema"])


def test_an_interrupt_exits_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(chosen: str | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("biotrain.cli.build_app", interrupted)
    with pytest.raises(SystemExit) as left:
        main(["schema"])
    assert left.value.code == 130

    def mended(chosen: str | None) -> None:
        raise UserError("the broker is not there: start it")

    monkeypatch.setattr("biotrain.cli.build_app", mended)
    with pytest.raises(SystemExit) as left:
        main(["schema"])
    assert left.value.code == 2
    assert capsys.readouterr().err == "biotrain: the broker is not there: start it\n"


def test_schema_writes_whole_files_and_says_which(tmp_path: Path) -> None:
    done = run("schema", "--out", str(tmp_path / "a" / "b"), "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == said["files"]
