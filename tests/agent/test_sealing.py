"""With a key, nothing that the outbox keeps can be read or moved on the disk."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from device_agent.outbox import Draft, Identity, Outbox
from device_agent.sealing import Seal
from schemas.errors import UserError
from schemas.state import State
from schemas.topics import Kind

WHO = Identity("site", "dev", "P1")
SECRET = "a word that must not be found"
STATE = Draft(Kind.STATE, {"state": "online", "detail": SECRET})


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text("0f" * 32 + "\n")
    file.chmod(0o600)
    return file


def bytes_on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file())


def test_nothing_stands_in_the_clear_and_all_of_it_comes_back(tmp_path: Path, key: Path) -> None:
    folder = tmp_path / "state"
    box = Outbox.open(folder, WHO, seal=Seal.load(key))
    box.put([STATE] * 3, state=f'{{"x": "{SECRET}"}}')
    box.close()
    assert SECRET.encode() not in bytes_on_disk(folder)
    again = Outbox.open(folder, WHO, seal=Seal.load(key))
    assert [State.model_validate_json(m.payload).detail for m in again.pending()] == [SECRET] * 3
    assert again.state() == f'{{"x": "{SECRET}"}}'
    again.close()


def test_an_outbox_in_the_clear_is_taken_along_and_leaves_no_trace(tmp_path: Path, key: Path) -> None:
    folder = tmp_path / "state"
    box = Outbox.open(folder, WHO)
    box.put([STATE] * 50, state=SECRET)
    box.close()
    assert SECRET.encode() in bytes_on_disk(folder)
    sealed = Outbox.open(folder, WHO, seal=Seal.load(key))
    assert SECRET.encode() not in bytes_on_disk(folder)
    assert {State.model_validate_json(m.payload).detail for m in sealed.pending()} == {SECRET}
    assert sealed.state() == SECRET
    sealed.close()


def test_without_its_key_or_with_another_it_is_refused(tmp_path: Path, key: Path) -> None:
    folder = tmp_path / "state"
    Outbox.open(folder, WHO, seal=Seal.load(key)).close()
    with pytest.raises(UserError, match="give --key-file"):
        Outbox.open(folder, WHO)
    with pytest.raises(UserError, match="another key"):
        Outbox.open(folder, WHO, seal=Seal(bytes(32)))


def test_what_was_altered_or_moved_does_not_open(tmp_path: Path, key: Path) -> None:
    folder = tmp_path / "state"
    box = Outbox.open(folder, WHO, seal=Seal.load(key))
    box.put([STATE, STATE])
    box.close()
    with contextlib.closing(sqlite3.connect(folder / "outbox.db")) as db:
        (first,) = db.execute("SELECT payload FROM message WHERE seq = 1").fetchone()
    for payload in (first[:-1] + bytes([first[-1] ^ 1]), first[:5], b"{}", first):  # the last one only moved
        with contextlib.closing(sqlite3.connect(folder / "outbox.db")) as db, db:
            db.execute("UPDATE message SET payload = ? WHERE seq = 2", (payload,))
        again = Outbox.open(folder, WHO, seal=Seal.load(key))
        with pytest.raises(UserError, match="was altered"):
            again.pending()
        again.close()


@pytest.mark.parametrize(("text", "mode", "reason"), [
    ("0f" * 32, 0o644, "chmod 600"), ("0f" * 31, 0o600, "64 hexadecimal"), ("zz" * 32, 0o600, "64 hexadecimal"),
    ("", 0o600, "64 hexadecimal"), ("ü", 0o600, "cannot be read"),
])  # fmt: skip
def test_a_key_file_that_is_none_is_refused(tmp_path: Path, text: str, mode: int, reason: str) -> None:
    file = tmp_path / "key"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(UserError, match=reason):
        Seal.load(file)
