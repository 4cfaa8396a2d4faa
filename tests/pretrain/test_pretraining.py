import json
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from biotrain.files import default_cache
from biotrain.pretrain.blank import blank_model, model_for
from biotrain.pretrain.cache import COMPILING_CODE, TRAINING_CODE, cache_key, code_digest
from biotrain.pretrain.people import join, load_others, simulate_people
from biotrain.pretrain.run import OtherPeople, SimulatedPeople, pretrain
from biotrain.pretrain.settings import TrainingSettings
from device_agent.sources.dataset import open_dataset
from device_agent.sources.recording import Recording
from device_agent.sources.simulator import SimulatedPerson
from schemas.errors import UserError
from schemas.plan import read_plan
from schemas.weights import Origin, read_weights

SHORT = TrainingSettings(model="epidenet", epochs=3)
TWO_PEOPLE = SimulatedPeople((101, 102), (1,), 11)


def save(recording: Recording, folder: Path) -> Path:
    path = folder / f"{recording.subject}_session{recording.session}.npz"
    np.savez(
        path, x=recording.counts, scale=recording.scale, y=recording.labels.astype(np.int8),
        fs=recording.sampling_rate_hz, classes=np.array(recording.classes), ch_names=np.array(recording.channels),
        subject=recording.subject, session=recording.session, unit=recording.unit, onset_s=recording.onsets_s,
    )  # fmt: skip
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three simulated people with two short sessions each, as recordings on disk."""
    for seed in (1, 2, 3):
        for session in (1, 2):
            save(SimulatedPerson(seed).session(session, 22), tmp_path)
    return tmp_path


def test_the_person_left_out_is_in_none_of_the_windows(folder: Path) -> None:
    others = load_others(open_dataset(folder), "sim2")
    assert others.people == ("sim1", "sim3")
    assert len(others.labels) == 4 * 22
    left_out = SimulatedPerson(2).session(1, 22).values
    assert not any(np.array_equal(window, mine) for window in others.windows for mine in left_out)


def test_leaving_out_the_only_person_is_refused(tmp_path: Path) -> None:
    save(SimulatedPerson(1).session(1, 22), tmp_path)
    with pytest.raises(UserError, match="at least one more person"):
        load_others(open_dataset(tmp_path), "sim1")


def test_scaling_is_over_all_windows_of_a_channel() -> None:
    people = simulate_people((101, 102), (1,), 22)
    scaled = people.preprocessing().apply(people.windows)
    assert scaled.mean(axis=(0, 2)) == pytest.approx([0, 0], abs=1e-4)
    assert scaled.std(axis=(0, 2)) == pytest.approx([1, 1], abs=1e-4)


def test_an_envelope_is_taken_as_logarithm_and_a_signal_of_both_signs_is_not() -> None:
    signal = simulate_people((101,), (1,), 22)
    envelope = replace(signal, windows=np.abs(signal.windows) + 1)
    assert signal.preprocessing().log_floor is None
    assert envelope.preprocessing().log_floor == pytest.approx(np.percentile(envelope.windows, 5))
    assert envelope.preprocessing().apply(envelope.windows).std(axis=(0, 2)) == pytest.approx([1, 1], abs=1e-3)


def test_a_channel_that_never_changes_is_named() -> None:
    session = SimulatedPerson(1).session(1, 11)
    session.counts[:, 1] = 7
    with pytest.raises(UserError, match="vertical"):
        join([session]).preprocessing()


def test_people_recorded_in_different_ways_cannot_be_joined() -> None:
    first, second = SimulatedPerson(1).session(1, 11), SimulatedPerson(2).session(1, 11)
    cut = Recording(
        second.counts[:, :, :500], second.scale, second.labels, second.onsets_s, second.classes, second.channels,
        second.sampling_rate_hz, second.subject, second.session,
    )  # fmt: skip
    with pytest.raises(UserError, match="500 samples"):
        join([first, cut])


def test_the_model_suits_the_length_of_the_windows() -> None:
    assert (model_for(1000), model_for(200)) == ("epidenet", "epidenet-short")


def test_plan_and_weights_belong_together_and_hold_the_scaling(tmp_path: Path) -> None:
    made = pretrain(TWO_PEOPLE, SHORT, tmp_path)
    plan = read_plan(made.plan)
    weights = read_weights(made.weights, plan.hash)
    assert weights.origin is Origin.PRETRAINED
    assert (plan.header.channels, plan.header.samples, plan.header.classes) == (2, 1000, 11)
    steps = TWO_PEOPLE.load().preprocessing()
    for constants in (steps.offset, steps.gain):
        assert constants is not None
        assert constants.astype("<f4").tobytes() in made.plan


@pytest.mark.slow
def test_the_same_people_and_settings_give_the_same_bytes_and_others_do_not(tmp_path: Path) -> None:
    first = pretrain(TWO_PEOPLE, SHORT, tmp_path / "a")
    second = pretrain(TWO_PEOPLE, SHORT, tmp_path / "b")
    other = pretrain(TWO_PEOPLE, SHORT.model_copy(update={"seed": 1}), tmp_path / "a")
    assert (first.plan, first.weights) == (second.plan, second.weights)
    assert other.plan == first.plan
    assert other.weights != first.weights


def test_a_result_is_found_again_without_training(tmp_path: Path) -> None:
    made = pretrain(TWO_PEOPLE, SHORT, tmp_path)
    trained: list[int] = []
    found = pretrain(TWO_PEOPLE, SHORT, tmp_path, lambda epoch: trained.append(epoch.number))
    assert (made.cached, found.cached) == (False, True)
    assert not trained
    assert (found.plan, found.weights, found.report) == (made.plan, made.weights, made.report)


def test_a_changed_recording_is_not_found_in_the_cache(folder: Path) -> None:
    before = OtherPeople(open_dataset(folder), "sim2").identity()
    save(SimulatedPerson(1).session(2, 33), folder)
    after = OtherPeople(open_dataset(folder), "sim2").identity()
    assert cache_key({"people": after}, TRAINING_CODE) != cache_key({"people": before}, TRAINING_CODE)


@pytest.mark.parametrize("pattern", [*TRAINING_CODE, *COMPILING_CODE])
def test_all_code_that_shapes_a_result_is_found(pattern: str) -> None:
    assert code_digest([pattern]) != code_digest([])


def test_what_was_trained_is_not_trained_again_for_a_new_compiler(tmp_path: Path) -> None:
    made = pretrain(TWO_PEOPLE, SHORT, tmp_path)
    for part in (".json", ".plan", ".weights"):
        next(tmp_path.glob(f"*{part}")).unlink()
    trained_at = next(tmp_path.glob("*.checkpoint")).stat().st_mtime_ns
    again = pretrain(TWO_PEOPLE, SHORT, tmp_path)
    assert next(tmp_path.glob("*.checkpoint")).stat().st_mtime_ns == trained_at
    assert (again.plan, again.weights, again.cached) == (made.plan, made.weights, False)


@pytest.mark.slow
def test_a_run_that_was_interrupted_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(epoch: object) -> None:
        if epoch.number == 2:  # type: ignore[attr-defined]
            raise Interrupted

    whole = pretrain(TWO_PEOPLE, SHORT, tmp_path / "whole")
    with pytest.raises(Interrupted):
        pretrain(TWO_PEOPLE, SHORT, tmp_path / "cut", interrupt)
    seen: list[int] = []
    continued = pretrain(TWO_PEOPLE, SHORT, tmp_path / "cut", lambda epoch: seen.append(epoch.number))
    assert seen == [1, 2, 3]  # the first two from the checkpoint
    assert continued.weights == whole.weights


def test_a_spoilt_checkpoint_is_named(tmp_path: Path) -> None:
    pretrain(TWO_PEOPLE, SHORT, tmp_path)
    next(tmp_path.glob("*.json")).unlink()
    next(tmp_path.glob("*.checkpoint")).write_bytes(b"half of it")
    with pytest.raises(UserError, match=r"\.checkpoint: not a checkpoint"):
        pretrain(TWO_PEOPLE, SHORT, tmp_path)


def test_the_cache_lies_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BIOTRAIN_CACHE", str(tmp_path))
    assert default_cache() == tmp_path


@pytest.mark.slow
def test_the_command_finds_a_result_without_importing_torch(folder: Path, tmp_path: Path) -> None:
    words = ["pretrain", "--data", str(folder), "--leave-out", "sim2", "--epochs", "1", "--json"]
    words += ["--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache"), "--name", "eog"]
    code = f"import sys\nfrom biotrain.cli import main\ntry: main({words!r})\nfinally: print('torch' in sys.modules)"
    said = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
        said.append((json.loads(done.stdout.splitlines()[0])["cached"], done.stdout.splitlines()[-1]))
    assert said == [(False, "True"), (True, "False")]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"eog.plan", "eog.weights"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--simulator", "--data", "x"], "exclude each other"),
        ([], "--leave-out"),
        (["--data", "no-such-folder", "--leave-out", "U1"], "no such folder"),
        (["--simulator", "--model", "resnet"], "there is no model 'resnet'"),
    ],
)
def test_a_wrong_request_is_answered_with_what_to_do(words: list[str], expected: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "biotrain", "pretrain", "--out", str(tmp_path), "--cache", str(tmp_path), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_demos_plan_is_what_the_compiler_gives_today_and_its_weights_belong_to_it() -> None:
    assets = files("biotrain.demo") / "assets"
    shipped, weights = ((assets / name).read_bytes() for name in ("eog.plan", "eog.weights"))
    # The people of `biotrain pretrain --simulator`.
    training_set = SimulatedPeople(range(101, 113), (1, 2), 220).load()
    today = blank_model(training_set, TrainingSettings()).compile().file
    assert shipped == today, "run `biotrain pretrain --simulator --name eog --out biotrain/demo/assets`"
    read_weights(weights, read_plan(shipped).hash)


@pytest.mark.slow
def test_training_learns_eye_movements_of_its_people(tmp_path: Path) -> None:
    made = pretrain(SimulatedPeople((101, 102, 103), (1,), 110), SHORT.model_copy(update={"epochs": 25}), tmp_path)
    assert made.report["accuracy"] > 0.5  # eleven classes: chance is 0.09
