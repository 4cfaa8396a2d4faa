import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from biotrain.demo.check import check_logs

WEARABLE = [
    {"boot": 1, "seq": 1, "kind": "BOOTED", "loss": 0.0},
    {"boot": 1, "seq": 2, "kind": "FIT_PROGRESS", "loss": 0.5},
]
AGENT = [
    {"boot": 7, "seq": 1, "schema": "biotrain.state/1", "device_event": {"boot": 1, "seq": 1}},
    {"boot": 7, "seq": 3, "schema": "biotrain.adaptation/1", "device_event": {"boot": 1, "seq": 2}},
]
STORED: list[dict[str, Any]] = [
    AGENT[0],
    {"boot": 7, "seq": 2, "schema": "biotrain.telemetry/1"},
    {**AGENT[1], "loss": 0.5},
]


class Files:
    def __init__(self, folder: Path) -> None:
        self.wearable, self.agent, self.store = folder / "w.jsonl", folder / "a.jsonl", folder / "store.db"
        self.wearable.write_text("".join(json.dumps(entry) + "\n" for entry in WEARABLE))
        self.agent.write_text("".join(json.dumps(entry) + "\n" for entry in AGENT))

    def problems(self, stored: list[dict[str, Any]], device: str = "d") -> list[str]:
        with sqlite3.connect(self.store) as database:
            database.execute("CREATE TABLE messages (site, device, payload)")
            for message in stored:
                database.execute("INSERT INTO messages VALUES ('s', ?, ?)", (device, json.dumps(message)))
        database.close()
        return check_logs(self.wearable, self.agent, self.store, "s", "d").problems


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_store_with_every_event_once_has_no_problem(files: Files) -> None:
    assert files.problems(STORED) == []


def test_a_missing_event_is_named_in_both_logs(files: Files) -> None:
    assert files.problems(STORED[:2]) == [
        "wearable event 1/2 (FIT_PROGRESS) is in the store 0 times",
        "agent event 7/3 (biotrain.adaptation/1) is in the store 0 times",
    ]


def test_an_event_that_was_passed_on_twice_is_named(files: Files) -> None:
    again = {**STORED[2], "seq": 4}
    assert files.problems([*STORED, again]) == ["wearable event 1/2 (FIT_PROGRESS) is in the store 2 times"]


def test_a_number_that_was_given_out_twice_is_named(files: Files) -> None:
    assert files.problems([*STORED, STORED[1]]) == ["message 7/2 is in the store 2 times"]


def test_events_of_another_device_do_not_count(files: Files) -> None:
    assert len(files.problems(STORED, device="other")) == 4


def test_another_message_under_the_same_number_is_named(files: Files) -> None:
    other = {**STORED[0], "schema": "biotrain.drift/1"}
    assert files.problems([other, *STORED[1:]]) == [
        "agent event 7/1 is biotrain.drift/1 in the store, biotrain.state/1 in the log"
    ]


def test_a_loss_that_was_changed_on_the_way_is_named(files: Files) -> None:
    changed = {**STORED[2], "loss": 0.25}
    assert files.problems([*STORED[:2], changed]) == ["wearable event 1/2: loss 0.25 in the store, 0.5 in the log"]


def test_a_line_torn_by_a_kill_is_no_event(files: Files) -> None:
    with files.agent.open("a") as log:
        log.write('{"boot": 7, "se')
    assert files.problems(STORED) == []
