"""Lines and branches that the tests have reached, by package: a table in Markdown, from the .coverage file."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

#: So deep a folder gets a row of its own.
_DEPTH = 2


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        subprocess.run([sys.executable, "-m", "coverage", "json", "-q", "-o", str(report)], check=True)
        files = json.loads(report.read_text(encoding="utf-8"))["files"]
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for name, file in files.items():
        found = file["summary"]
        counts = [found[key] for key in ("covered_lines", "num_statements", "covered_branches", "num_branches")]
        for package in ("/".join(Path(name).parent.parts[:_DEPTH]), "all"):
            sums[package] = [a + b for a, b in zip(sums[package], counts, strict=True)]
    print("| package | statements | reached | branches | reached |\n|---|---|---|---|---|")
    for package in sorted(sums, key=lambda name: (name == "all", name)):
        lines, of_lines, branches, of_branches = sums[package]
        print(
            f"| {package} | {of_lines:,} | {100 * lines / max(of_lines, 1):.1f} % "
            f"| {of_branches:,} | {100 * branches / max(of_branches, 1):.1f} % |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
