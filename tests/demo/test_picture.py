from typing import Any

from rich.console import Console

from biotrain.demo.check import CheckReport
from biotrain.demo.picture import Picture
from biotrain.demo.summary import in_words, summarize
from biotrain.demo.table import render


def telemetry(number: int, correct: int, frozen: int | None) -> dict[str, Any]:
    message: dict[str, Any] = {
        "first_window": number * 20, "last_window": number * 20 + 19, "windows_dropped": 0, "labelled": 20,
        "correct": correct, "weights_version": 2, "drift_statistic": 3.0, "drift_threshold": 8.0,
    }  # fmt: skip
    return {"id": number + 1, "message": message if frozen is None else {**message, "frozen_correct": frozen}}


def adaptation(phase: str, trigger: str = "drift", **more: Any) -> dict[str, Any]:
    message = {"phase": phase, "trigger": trigger, "window": 90, "mode": "full", "train_windows": 64, **more}
    return {"id": 9, "kind": "adaptation", "message": message}


def text_of(picture: Picture) -> str:
    console = Console(width=120, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as capture:
        console.print(render(picture, "http://127.0.0.1:8000", {"agent": 1, "broker": 0}))
    return capture.get()


def test_accuracy_is_that_of_the_last_hundred_windows() -> None:
    picture = Picture()
    for number in range(10):
        picture.add_telemetry(telemetry(number, 20 if number < 5 else 10, 5))
    assert picture.windows == 200
    assert picture.accuracy == 0.5
    assert picture.frozen_accuracy == 0.25


def test_without_a_frozen_copy_there_is_no_accuracy_of_one() -> None:
    picture = Picture()
    picture.add_telemetry(telemetry(0, 15, None))
    assert (picture.accuracy, picture.frozen_accuracy) == (0.75, None)


def test_calibration_is_shown_and_not_counted_as_an_adaptation() -> None:
    picture = Picture()
    picture.add_event(adaptation("started", "calibration"))
    picture.add_event(adaptation("committed", "calibration"))
    picture.add_event(adaptation("started"))
    assert picture.phases == {"started": 1, "committed": 0}
    assert "calibration committed" in text_of(picture)


def test_a_fit_is_shown_while_it_goes_on() -> None:
    picture = Picture()
    picture.add_event(adaptation("started"))
    picture.add_event(adaptation("progress", epoch=3, step=24, steps=240, loss=0.75))
    assert "training now: epoch 3, step 24 of 240, loss 0.750" in text_of(picture)
    guard = {"held_out": 16, "before_correct": 8, "after_correct": 14, "p_value": 0.016}
    picture.add_event(adaptation("committed", guard=guard))
    shown = text_of(picture)
    assert "training now" not in shown
    assert "8 -> 14 right of 16 held-out windows, p = 0.016" in shown


def test_processes_that_were_started_again_are_shown() -> None:
    assert "agent 1×" in text_of(Picture())


AGENT_TOTALS = {
    "windows": 440, "windows_dropped": 0,
    "accuracy": {"before_drift": 0.9, "after_drift": 0.5, "after_adaptation": 0.85},
    "drift_alerts": 1, "adaptations": {"started": 2, "committed": 1, "rolled_back": 1},
    "device": {"total_bytes": 117628, "resident_bytes": 54000, "l2_bytes": 180000},
    "published": 90, "stored": 90,
}  # fmt: skip


def test_the_summary_says_the_gain_in_points_and_whether_anything_was_lost() -> None:
    summary = summarize(AGENT_TOTALS, CheckReport(12, 40, []), {"agent": 0}, "http://127.0.0.1:8000")
    assert {name: summary[name] for name in AGENT_TOTALS} == AGENT_TOTALS
    words = in_words(summary)
    assert "+35.0 points" in words
    assert "1 drift alert raised" in words
    assert "117,628 bytes" in words
    assert "All 52 events" in words


def test_the_summary_names_what_the_checker_has_found() -> None:
    totals = {**AGENT_TOTALS, "accuracy": dict.fromkeys(("before_drift", "after_drift", "after_adaptation"))}
    words = in_words(summarize(totals, CheckReport(1, 1, ["agent event 7/3 is missing"]), {"agent": 1}, ""))
    assert "agent event 7/3 is missing" in words
    assert "no window" in words
    assert "agent 1×" in words
