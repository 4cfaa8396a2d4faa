"""The outbox has bounds: telemetry gives way to them, events never do, and the agent says what happens."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from device_agent.disk import LOW_BYTES, Disk
from device_agent.event_log import EventLog
from device_agent.outbox import DeviceEntry, Draft, Identity, Outbox, Pending
from device_agent.quota import NEWEST_KEPT, Load, Pressure, Row, next_pressure, thin
from device_agent.settings import AgentSettings
from device_agent.start import run_agent
from schemas.adaptation import Adaptation, Trigger
from schemas.drift import DriftAlert
from schemas.fault import Fault
from schemas.state import DeviceState
from schemas.stored import SeqRange
from schemas.topics import Kind
from tests.agent.conftest import Keeper
from tests.agent.fake_wearable import Device

WHO = Identity("site", "dev", "P1")
STATE = Draft(Kind.STATE, {"state": DeviceState.ONLINE, "detail": "x" * 400})
HEALTH = Draft(Kind.HEALTH, {"uptime_s": 1.0, "last_seq": 0, "outbox": 0, "wearable": {"connected": False}})
QUOTA = 40_000


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox.open(tmp_path, WHO, quota_bytes=QUOTA)
    yield box
    box.close()


def pending(outbox: Outbox) -> list[Pending]:
    return outbox.pending(limit=1_000_000)


def faults(outbox: Outbox) -> list[Fault]:
    return [Fault.model_validate_json(m.payload) for m in pending(outbox) if m.kind is Kind.FAULT]


def store_everything(outbox: Outbox) -> None:
    outbox.acknowledge([SeqRange(boot=outbox.boot, first=1, last=outbox.last_seq)])


def put_until_it_fails(outbox: Outbox) -> int:
    """Events kept until the disk took no more."""
    for count in range(0, 100_000, 10):
        try:
            outbox.put([STATE] * 10)
        except sqlite3.OperationalError as error:
            assert "full" in str(error)
            return count
    raise AssertionError("the disk never got full")


def test_thinning_takes_from_the_whole_time_and_leaves_the_newest() -> None:
    rows = [Row(1, seq, 100) for seq in range(1, 1001)]
    gone = thin(rows, Load(1000, 100_000, 0), limit=100_000)
    left = sorted({row.seq for row in rows} - {row.seq for row in gone})
    assert sum(row.size for row in gone) >= 50_000
    assert left[-100:] == list(range(901, 1001))
    assert left[0] <= 8
    assert max(b - a for a, b in pairwise(left)) <= 8
    # With no more room than the newest need, the newest are what is left.
    few = thin(rows, Load(1000, 100_000, 0), limit=1)
    assert {row.seq for row in rows} - {row.seq for row in few} == set(range(1001 - NEWEST_KEPT, 1001))


def test_the_pressure_does_not_swing_at_its_limits() -> None:
    def after(now: Pressure, total: int, events: int, disk_low: bool = False) -> Pressure:
        return next_pressure(now, Load(1, total, events), limit=1000, disk_low=disk_low)

    assert after(Pressure.NONE, 1000, 875) is Pressure.NONE
    assert after(Pressure.NONE, 1001, 0) is Pressure.THINNED
    assert after(Pressure.THINNED, 251, 0) is Pressure.THINNED
    assert after(Pressure.THINNED, 250, 0) is Pressure.NONE
    assert after(Pressure.NONE, 876, 876) is Pressure.FULL
    assert after(Pressure.FULL, 626, 626) is Pressure.FULL
    assert after(Pressure.FULL, 625, 625) is Pressure.THINNED
    assert after(Pressure.NONE, 0, 0, disk_low=True) is Pressure.FULL


def test_above_the_quota_telemetry_is_thinned_and_events_are_not(outbox: Outbox) -> None:
    outbox.put([STATE] * 30)
    for _ in range(400):
        outbox.put([HEALTH])
        assert outbox.load.total <= QUOTA
    kinds = Counter(m.kind for m in pending(outbox))
    assert kinds[Kind.STATE] == 30
    newest = [m.seq for m in pending(outbox) if m.kind is Kind.HEALTH][-NEWEST_KEPT:]
    # what was told of the quota stands between them
    assert [m.seq for m in pending(outbox) if m.seq >= newest[0]] == list(range(newest[0], outbox.last_seq + 1))
    told = faults(outbox)
    assert all(fault.active and "were left out" in fault.detail for fault in told)
    assert 1 <= len(told) <= 20
    assert not outbox.full
    assert outbox.pending_count == len(pending(outbox)) == outbox.counts.given - outbox.counts.thinned
    store_everything(outbox)
    outbox.put([HEALTH])
    assert [(fault.active, fault.fault) for fault in faults(outbox)] == [(False, "disk_full")]


def test_events_that_alone_do_not_fit_are_all_kept_and_it_is_said_once(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path, WHO, quota_bytes=QUOTA)
    for _ in range(200):
        outbox.put([STATE, HEALTH])
    assert outbox.full
    kinds = Counter(m.kind for m in pending(outbox))
    assert kinds[Kind.STATE] == 200
    assert NEWEST_KEPT <= kinds[Kind.HEALTH] <= 2 * NEWEST_KEPT
    full = [fault for fault in faults(outbox) if "No adaptation begins" in fault.detail]
    assert len(full) == 1
    assert outbox.pending_count == len(pending(outbox))
    outbox.close()
    again = Outbox.open(tmp_path, WHO, quota_bytes=QUOTA)
    assert again.full, "also after a restart"
    assert again.load == outbox.load
    again.acknowledge([SeqRange(boot=outbox.boot, first=1, last=outbox.last_seq)])
    again.put([HEALTH])
    assert not again.full
    assert [fault.active for fault in faults(again)] == [False]
    again.close()


def test_the_files_stay_bounded_however_long_nobody_stores_anything(tmp_path: Path) -> None:
    box = Outbox.open(tmp_path, WHO, quota_bytes=400_000)
    box._db.execute("PRAGMA synchronous=OFF")  # the test is about sizes
    largest = 0
    for _ in range(300):
        box.put([HEALTH] * 40, state=json.dumps("s" * 1000))
        largest = max(largest, sum(f.stat().st_size for f in tmp_path.glob("outbox.db*")))
    assert box.counts.given > 5 * 400_000 / 250
    assert largest < 2 * 400_000 + 4_500_000  # and the write-ahead log before its next checkpoint
    box.close()


def test_what_was_relayed_long_ago_is_forgotten_in_its_order(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device_agent.outbox._REMEMBERED", 10)
    entries = [DeviceEntry("w", 9, n, "a") for n in range(20)] + [DeviceEntry("w", 1, 1, "after its log was wiped")]
    for entry in entries:
        assert outbox.put([], entry=entry) == []
    assert [outbox.was_relayed(entry) for entry in entries] == [False] * 11 + [True] * 10
    for n in range(20):
        assert outbox.put([], command=f"c{n}") == []
    assert [outbox.was_taken_up(f"c{n}") for n in range(20)] == [False] * 10 + [True] * 10


def test_an_outbox_of_version_1_is_brought_along(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "outbox.db")
    old.executescript(
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);"
        "CREATE TABLE message (boot INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, payload BLOB NOT NULL,"
        " PRIMARY KEY (boot, seq)) WITHOUT ROWID;"
        "CREATE TABLE relayed (device TEXT NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL, what TEXT NOT NULL,"
        " PRIMARY KEY (device, boot, seq, what)) WITHOUT ROWID;"
        "CREATE TABLE command (id TEXT PRIMARY KEY) WITHOUT ROWID;"
        "INSERT INTO meta VALUES ('boot', '7'), ('owner', 'site/dev'), ('given', '3'), ('state', '{}');"
        "INSERT INTO relayed VALUES ('w', 1, 2, 'x'); INSERT INTO command VALUES ('c');"
        "INSERT INTO message VALUES (7, 3, 'state', x'7b7d');"
        "PRAGMA user_version=1;"
    )
    old.close()
    for boot in (8, 9):
        box = Outbox.open(tmp_path, WHO)
        assert box.was_relayed(DeviceEntry("w", 1, 2, "x"))
        assert box.was_taken_up("c")
        assert (box.boot, box.counts.given, box.state(), box.pending_count) == (boot, 3, "{}", 1)
        box.close()


def test_a_disk_that_takes_nothing_more_gives_up_its_reserve_for_the_last_words(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own limit of pages stands for the disk: the error is the same one."""
    outbox.put([STATE])
    pages = int(outbox._db.execute("PRAGMA page_count").fetchone()[0])
    outbox._db.execute(f"PRAGMA max_page_count={pages}")
    given_up: list[bool] = []

    def give_up(disk: Disk) -> bool:
        given_up.append(True)
        monkeypatch.setattr(Disk, "free_bytes", 0)
        outbox._db.execute(f"PRAGMA max_page_count={pages + 50}")
        return len(given_up) == 1

    monkeypatch.setattr(Disk, "give_up_reserve", give_up)
    kept = 1 + put_until_it_fails(outbox)
    assert len(given_up) == 2
    assert outbox.full
    assert sum(m.kind is Kind.STATE for m in pending(outbox)) == kept, "whole transactions only"
    assert "the disk is nearly full" in faults(outbox)[-1].detail


def test_a_nearly_full_disk_counts_as_full(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Disk, "free_bytes", LOW_BYTES - 1)
    outbox.put([HEALTH])
    assert outbox.full
    monkeypatch.setattr(Disk, "free_bytes", LOW_BYTES)
    outbox.put([HEALTH])
    assert not outbox.full
    assert [fault.active for fault in faults(outbox)] == [True, False]


@pytest.mark.slow
def test_on_a_real_disk_that_fills_up_no_event_is_lost(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk can be made by root only")
    try:
        box = Outbox.open(disk, WHO)
        assert (disk / "reserve").stat().st_size > 0
        box.put([STATE, HEALTH])
        assert not box.full
        (disk / "somebody elses").write_bytes(bytes(Disk(disk).free_bytes - 300_000))
        kept = 1 + put_until_it_fails(box)
        assert box.full
        assert not (disk / "reserve").exists()
        assert sum(m.kind is Kind.STATE for m in pending(box)) == kept
        (disk / "somebody elses").unlink()
        box.put([STATE])
        store_everything(box)
        box.put([HEALTH])
        assert not box.full
        assert (disk / "reserve").exists()
        box.close()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_the_log_of_events_begins_a_new_file_before_it_grows_too_large(outbox: Outbox, tmp_path: Path) -> None:
    log = EventLog(tmp_path / "..", largest=1000)
    messages = outbox.put([STATE])
    assert messages is not None
    for _ in range(100):
        log.append(messages)
    log.close()
    files = [(tmp_path / ".." / name).read_text().splitlines() for name in ("events.jsonl", "events.1.jsonl")]
    assert all(0 < sum(map(len, lines)) < 1300 for lines in files)
    assert {json.loads(line)["seq"] for lines in files for line in lines} == {1}


@pytest.mark.slow
async def test_a_full_outbox_starts_no_adaptation_and_says_so(
    settings: AgentSettings, keeper: Keeper, device: Device
) -> None:
    """Nobody stores anything: the signal drifts, an operator commands, and still no fit begins."""
    keeper.acknowledging = False
    tight = settings.model_copy(update={"outbox_quota_mb": 0.002, "finish_timeout_s": 0.3})
    await run_agent(tight, connect=device.connect)
    assert keeper.of(DriftAlert)
    # What was under way when it became full is brought to its end.
    assert {message.trigger for message in keeper.of(Adaptation)} <= {Trigger.CALIBRATION}
    assert any("No adaptation begins" in fault.detail for fault in keeper.of(Fault))
