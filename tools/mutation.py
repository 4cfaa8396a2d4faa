"""Small faults put into planner, guard and link, one at a time, and how many of them the tests notice.

    python tools/mutation.py planner guard link
    python tools/mutation.py --survivors guard      # once more, what survived: with the tests of today

cosmic-ray makes the faults, in the sources themselves, and takes each back; so the tree must have no changes. Of the
faults that it can make, so many of each part are tried, drawn with a seed. Sessions are kept in build/mutation:
interrupt it at any time, the same command goes on. Prints a table and what survived.
"""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "mutation"
#: Modules, and the tests that are about them.
PARTS = {
    "planner": (
        [f"device_agent/compiler/memory/{name}.py" for name in ("problem", "solver", "exact", "validator")],
        ["tests/compiler/test_memory.py"],
    ),
    "guard": (
        [f"device_agent/adaptation/{name}.py" for name in ("guard", "evidence", "folds")],
        [f"tests/adaptation/test_{name}.py" for name in ("guard", "evidence", "folds")],
    ),
    "link": (["schemas/link/frame.py"], ["tests/link"]),
}
TOOL = (sys.executable, "-m", "cosmic_ray.cli")
_TIMEOUT_S = 60.0
_SAMPLE, _SEED = 150, 1


def main() -> int:
    again, words = "--survivors" in sys.argv[1:], [word for word in sys.argv[1:] if word != "--survivors"]
    parts = words or list(PARTS)
    if unknown := [part for part in parts if part not in PARTS]:
        print(f"mutation: unknown part {unknown[0]!r}: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    for part in parts:
        modules, _ = PARTS[part]
        if subprocess.run(["git", "diff", "--quiet", "--", *modules], cwd=ROOT).returncode:
            print(f"mutation: {part} has changes that are not committed: commit or stash them first", file=sys.stderr)
            return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    for part in parts:
        if again:
            forget_survivors(FOLDER / f"{part}.sqlite")
        run(part)
    print("| part | faults | noticed | survived |\n|---|---|---|---|")
    survivors = {part: results(part) for part in parts}
    for part, (noticed, survived) in survivors.items():
        print(f"| {part} | {noticed + len(survived)} | {noticed} | {len(survived)} |")
    for part, (_, survived) in survivors.items():
        for where in survived:
            print(f"{part}: {where}")
    return 0


def run(part: str) -> None:
    """Everything of `part` that has not been tried yet."""
    modules, tests = PARTS[part]
    settings, session = FOLDER / f"{part}.toml", FOLDER / f"{part}.sqlite"
    python = json.dumps(sys.executable)[1:-1]
    settings.write_text(
        f"[cosmic-ray]\nmodule-path = {json.dumps(modules)}\ntimeout = {_TIMEOUT_S}\nexcluded-modules = []\n"
        f"test-command = \"{python} -m pytest -q -x -p no:cacheprovider --hypothesis-profile mutation -m 'not slow' "
        f'{" ".join(tests)}"\n'
        '[cosmic-ray.distributor]\nname = "local"\n',
        encoding="utf-8",
    )
    if not session.exists():
        whole = session.with_suffix(".new")
        whole.unlink(missing_ok=True)
        subprocess.run([*TOOL, "init", str(settings), str(whole)], cwd=ROOT, check=True)
        draw(whole)
        whole.rename(session)
    try:
        subprocess.run([*TOOL, "exec", str(settings), str(session)], cwd=ROOT, check=True)
    finally:
        subprocess.run(["git", "checkout", "-q", "--", *modules], cwd=ROOT, check=True)


def draw(session: Path) -> None:
    """All but the sample counts as done."""
    from cosmic_ray.work_db import use_db
    from cosmic_ray.work_item import WorkerOutcome, WorkResult

    with use_db(str(session)) as database:
        jobs = sorted(item.job_id for item in database.work_items)
        places = {item.job_id: str(item.mutations) for item in database.work_items}
        jobs.sort(key=places.__getitem__)  # ids are random
        kept = set(random.Random(_SEED).sample(jobs, min(_SAMPLE, len(jobs))))
        for job in jobs:
            if job not in kept:
                database.set_result(job, WorkResult(WorkerOutcome.SKIPPED))


def forget_survivors(session: Path) -> None:
    """They count as not tried."""
    with contextlib.closing(sqlite3.connect(session)) as database, database:
        database.execute("DELETE FROM work_results WHERE test_outcome = 'SURVIVED'")


def results(part: str) -> tuple[int, list[str]]:
    """How many were noticed, and where the others are, with the fault."""
    dumped = subprocess.run(
        [*TOOL, "dump", str(FOLDER / f"{part}.sqlite")], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    noticed, survived = 0, []
    for line in dumped.splitlines():
        item, result = json.loads(line)
        if result is None or result["worker_outcome"] == "skipped":
            continue
        if result["test_outcome"] == "survived":
            fault = item["mutations"][0]
            changed = [line for line in (result["diff"] or "").splitlines() if line[:1] in "+-"][2:]
            survived.append(f"{fault['module_path']}:{fault['start_pos'][0]}\n    " + "\n    ".join(changed))
        else:
            noticed += 1
    return noticed, sorted(survived)


if __name__ == "__main__":
    sys.exit(main())
