"""docs/security.md: each way in names what shows that it is closed, and each named test is there."""

from __future__ import annotations

import re
from pathlib import Path


def test_every_way_in_names_a_test_and_every_named_test_exists(repository: Path) -> None:
    text = (repository / "docs" / "security.md").read_text(encoding="utf-8")
    table = text.partition("## The attacker's ways in")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 20
    for row in rows:
        named = re.findall(r"`(tests/[^`]+)`", row.split("|")[3])
        assert named, row
    for name in re.findall(r"`(tests/[^` ]+)`", text):
        file, _, function = name.partition("::")
        assert (repository / file).exists(), name
        if function:
            assert re.search(rf"^(async )?def {function}\(", (repository / file).read_text(), re.MULTILINE), name
