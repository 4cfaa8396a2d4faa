"""The outbox: numbers without gaps, entries once, nothing forgotten before it is stored."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_agent.outbox import DeviceEntry, Draft, Identity, Outbox
from schemas.errors import UserError
from schemas.state import DeviceState
from schemas.stored import SeqRange
from schemas.topics import Kind

WHO = Identity("site", "dev", "P1")
STATE = Draft(Kind.STATE, {"state": DeviceState.ONLINE})
HEALTH = Draft(Kind.HEALTH, {"uptime_s": 1.0, "last_seq": 0, "outbox": 0, "wearable": {"connected": False}})


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox.open(tmp_path, WHO)
    yield box
    box.close()


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def test_messages_are_numbered_from_one_without_gaps(outbox: Outbox) -> None:
    outbox.put([STATE, HEALTH])
    outbox.put([STATE])
    assert [message.seq for message in outbox.pending()] == [1, 2, 3]
    assert outbox.last_seq == 3
    assert outbox.newest_state == (outbox.boot, 3)


def test_a_message_that_breaks_its_schema_leaves_no_trace(outbox: Outbox) -> None:
    with pytest.raises(ValueError, match="uptime_s"):
        outbox.put([STATE, Draft(Kind.HEALTH, {"last_seq": 0})], state="{}")
    outbox.put([STATE])
    assert [message.seq for message in outbox.pending()] == [1]
    assert outbox.pending_count == 1
    assert outbox.state() is None


def test_an_entry_of_the_wearables_log_is_relayed_once_also_after_a_restart(tmp_path: Path) -> None:
    entry = DeviceEntry("w1", 3, 7, "FIT_DONE 12")
    first = Outbox.open(tmp_path, WHO)
    assert first.put([STATE], entry=entry)
    assert first.put([STATE], entry=entry) is None
    first.acknowledge([SeqRange(boot=first.boot, first=1, last=1)])
    first.close()
    second = Outbox.open(tmp_path, WHO)
    assert second.was_relayed(entry)
    assert second.put([STATE], entry=entry) is None
    assert second.put([STATE], entry=DeviceEntry("w1", 3, 7, "BOOTED 1")), "a wiped log's entries are new ones"
    second.close()


def test_a_command_is_taken_up_once(outbox: Outbox) -> None:
    reply = Draft(Kind.REPLY, {"command_id": "c1", "status": "accepted"})
    assert outbox.put([reply], command="c1")
    assert outbox.put([reply], command="c1") is None
    assert outbox.was_taken_up("c1")
    assert not outbox.was_taken_up("c2")


def test_only_what_is_stored_is_forgotten(outbox: Outbox) -> None:
    outbox.put([STATE] * 5)
    assert outbox.acknowledge([SeqRange(boot=outbox.boot, first=2, last=3), SeqRange(boot=1, first=1, last=9)]) == 2
    assert [message.seq for message in outbox.pending()] == [1, 4, 5]
    assert outbox.acknowledge([SeqRange(boot=outbox.boot, first=2, last=3)]) == 0
    assert (outbox.counts.given, outbox.counts.stored, outbox.pending_count) == (5, 2, 3)


def test_each_start_counts_a_boot_and_keeps_what_was_not_stored(tmp_path: Path) -> None:
    first = Outbox.open(tmp_path, WHO)
    first.put([STATE], state='{"a": 1}')
    first.close()
    second = Outbox.open(tmp_path, WHO)
    second.put([STATE])
    assert [(m.boot, m.seq) for m in second.pending()] == [(first.boot, 1), (first.boot + 1, 1)]
    assert second.state() == '{"a": 1}'
    assert [(m.boot, m.seq) for m in second.pending(after=(first.boot, 1))] == [(second.boot, 1)]
    second.close()


def test_a_lost_folder_does_not_bring_old_numbers_back(tmp_path: Path) -> None:
    first = Outbox.open(tmp_path / "a", WHO)
    boot = first.boot
    first.close()
    second = Outbox.open(tmp_path / "b", WHO)
    assert second.boot >= boot > 1_000_000_000
    second.close()


def test_the_log_of_events_follows_the_outbox_and_holds_no_telemetry(outbox: Outbox, tmp_path: Path) -> None:
    outbox.put([STATE, HEALTH])
    assert [(line["seq"], line["schema"]) for line in lines(tmp_path)] == [(1, "biotrain.state/1")]


def test_a_line_torn_by_a_power_cut_does_not_spoil_the_next(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"boot": 1, "se')
    outbox = Outbox.open(tmp_path, WHO)
    outbox.put([STATE])
    outbox.close()
    assert json.loads((tmp_path / "events.jsonl").read_text().splitlines()[1])["seq"] == 1


def test_a_second_agent_on_the_same_folder_is_refused(outbox: Outbox, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="another agent"):
        Outbox.open(tmp_path, WHO)


def test_another_device_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    Outbox.open(tmp_path, WHO).close()
    with pytest.raises(UserError, match="belongs to site/dev"):
        Outbox.open(tmp_path, Identity("site", "other", None))


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_bytes(b"not a database" * 100)
    with pytest.raises(UserError, match="cannot be used as outbox"):
        Outbox.open(tmp_path, WHO)


def test_killed_in_the_middle_it_keeps_whole_transactions(tmp_path: Path) -> None:
    """A process that writes as fast as it can is killed; state and messages agree, and the log has nothing more."""
    program = (
        "import sys, pathlib; from device_agent.outbox import *; from schemas.topics import Kind\n"
        "box = Outbox.open(pathlib.Path(sys.argv[1]), Identity('site', 'dev', None)); print(box.boot, flush=True)\n"
        "n = 0\n"
        "while True:\n"
        "    n += 1\n"
        "    drafts = [Draft(Kind.STATE, {'state': 'online'})] * 3\n"
        "    box.put(drafts, state=str(n), entry=DeviceEntry('w', 1, n, 'x'))\n"
        "    print(n, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = 0
    boot = int(process.stdout.readline())
    while told < 20:
        told = int(process.stdout.readline())
    process.kill()
    told = max([told, *(int(line) for line in process.stdout.read().split("\n") if line.strip())])
    process.wait()
    process.stdout.close()
    outbox = Outbox.open(tmp_path, WHO)
    kept = outbox.pending(limit=100_000)
    count = int(outbox.state() or 0)
    assert count >= told
    assert [m.seq for m in kept] == list(range(1, 3 * count + 1))
    assert outbox.was_relayed(DeviceEntry("w", 1, count, "x"))
    assert not outbox.was_relayed(DeviceEntry("w", 1, count + 1, "x"))
    assert {(boot, line["seq"]) for line in lines(tmp_path)} <= {(m.boot, m.seq) for m in kept}
    outbox.close()
