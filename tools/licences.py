#!/usr/bin/env python3
"""Lists the licences of everything in deploy/requirements.lock:  tools/licences.py [--check]

Writes docs/licences.md; with --check it only compares, and leaves with 1 when a licence is not allowed or the list is
not current. A licence is read from the installed package, so run it where all of them are installed.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK, LIST = ROOT / "deploy" / "requirements.lock", ROOT / "docs" / "licences.md"

#: What may be installed beside us. LGPL and MPL ask something of whoever changes those packages, not of their users.
ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "BSD",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "EPL-2.0",
    "ISC",
    "LGPL-3.0-only",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "PSF-2.0",
    "Unlicense",
    "Zlib",
}
#: As classifiers and old metadata write them.
_SPELLINGS = {
    "Apache Software License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "BSD License": "BSD",
    "BSD 3-Clause": "BSD-3-Clause",
    "BSD-3": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "LGPL-3.0-or-later": "LGPL-3.0-only",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Eclipse Public License v2.0 / Eclipse Distribution License v1.0": "EPL-2.0",
}


def locked() -> list[str]:
    return sorted(set(re.findall(r"^([A-Za-z0-9._-]+)==", LOCK.read_text(encoding="utf-8"), re.MULTILINE)))


def licences_of(package: PackageMetadata) -> list[str]:
    """One of each group of alternatives has to be allowed; what is joined by AND, all of it."""
    expression = package.get("License-Expression")
    if expression:
        return [part.strip("() ") for part in re.split(r"\s+AND\s+", expression)]
    classified = [
        value.rpartition(" :: ")[2]
        for value in package.get_all("Classifier") or []
        if value.startswith("License :: ") and value != "License :: OSI Approved"
    ]
    stated = (package.get("License") or "").strip().splitlines()
    found = classified or stated[:1] or ["unknown"]
    return [_SPELLINGS.get(name, name) for name in found]


def is_allowed(licence: str) -> bool:
    return any(choice in ALLOWED for choice in re.split(r"\s+OR\s+", licence))


def table() -> tuple[str, list[str]]:
    """The file's text, and what is wrong."""
    rows, wrong = [], []
    for name in locked():
        try:
            found = licences_of(metadata(name))
        except PackageNotFoundError:
            rows.append((name, _listed().get(name, "unknown")))  # one for another platform
            found = [rows[-1][1]]
        else:
            rows.append((name, ", ".join(found)))
        wrong += [f"{name}: {licence}" for licence in found for one in licence.split(", ") if not is_allowed(one)]
    head = (
        "# Licences\n\nOf every package that agent and supervisor install with their extras\n"
        "(`deploy/requirements.lock`). Written by `tools/licences.py`; a test allows no licences but those that stand\n"
        "there. biotrain itself is under Apache-2.0.\n\n| package | licence |\n|---|---|\n"
    )
    return head + "".join(f"| {name} | {licence} |\n" for name, licence in rows), wrong


def _listed() -> dict[str, str]:
    """What was found where such a package was installed."""
    if not LIST.exists():
        return {}
    return dict(re.findall(r"^\| ([^ ]+) \| (.+) \|$", LIST.read_text(encoding="utf-8"), re.MULTILINE))


def main() -> int:
    text, wrong = table()
    for line in wrong:
        print(f"not allowed: {line}", file=sys.stderr)
    if "--check" not in sys.argv[1:]:
        LIST.write_text(text, encoding="utf-8")
    elif not LIST.exists() or LIST.read_text(encoding="utf-8") != text:
        print("docs/licences.md is not current: run tools/licences.py", file=sys.stderr)
        return 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
