"""docs/robustness.md names every queue of the running system, and every test and file that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOMS = ("device_agent", "messaging", "service", "biotrain")


def unbounded(source: str) -> set[str]:
    """Names that are given an `asyncio.Queue` or a `deque` which grows as long as somebody puts into it, or whose
    bound is not to be seen at the place."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            name = ast.unparse(target).removeprefix("self.")
            call = ast.unparse(node.value.func).split(".")[-1].split("[")[0]
            keywords = {keyword.arg for keyword in node.value.keywords}
            if call == "Queue" or (call == "deque" and not node.value.args and "maxlen" not in keywords):
                found.add(name)
    return found


def test_the_walk_sees_queues_of_every_kind() -> None:
    assert unbounded("self._a: asyncio.Queue[int] = asyncio.Queue()\nb = deque[int]()\nc = deque(maxlen=3)") == {
        "_a",
        "b",
    }


def test_every_queue_stands_in_the_table(repository: Path) -> None:
    there = {
        (path.relative_to(repository).as_posix(), name)
        for room in ROOMS
        for path in sorted((repository / room).rglob("*.py"))
        for name in unbounded(path.read_text(encoding="utf-8"))
    }
    text = (repository / "docs" / "robustness.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `([\w/]+\.py)`: `(\w+)`", text, re.MULTILINE))
    assert there - told == set(), "say in docs/robustness.md how long it may get, and what happens then"
    assert told - there == set(), "docs/robustness.md names queues that are no more"


def test_every_file_and_test_it_names_is_there(repository: Path) -> None:
    text = (repository / "docs" / "robustness.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:{}|tests|deploy)/[\w./-]+)`".format("|".join(ROOMS)), text):
        assert (repository / path).exists(), path
