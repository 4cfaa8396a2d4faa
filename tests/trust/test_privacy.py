"""What leaves is listed, and nothing that could be a signal has a field to leave by."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from schemas.messages import SEQUENCED
from schemas.topics import FROM_DEVICE


def test_the_list_of_what_leaves_is_current(repository: Path) -> None:
    words = [sys.executable, "tools/what_leaves.py", "--check"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, cwd=repository)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_field_holds_a_row_of_numbers(repository: Path) -> None:
    """A window is thousands of numbers: it would need a list of them, or a text without bounds."""
    text = (repository / "docs" / "what-leaves.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", text, re.MULTILINE)
    assert len(rows) > 80
    assert [name for name, kind in rows if re.match(r"list of (?:number|integer|any|list)", kind)] == []
    # counts, by the name of a class, of a channel and its fault, of a reason
    counted = {name for name, kind in rows if kind.startswith("map of names to")}
    assert counted == {"predicted_classes", "channel_faults", "refused"}
    assert [name for name, kind in rows if kind in ("any", "binary", "base64")] == []


def test_every_message_refuses_a_field_that_is_not_its_own() -> None:
    assert all(SEQUENCED[kind].model_config.get("extra") == "forbid" for kind in FROM_DEVICE)
