#!/usr/bin/env python3
"""Writes deploy/sbom.json, a CycloneDX 1.5 bill of what deploy/requirements.lock installs:  tools/sbom.py [--check]

With --check it only compares. Versions are the lock's, licences those of docs/licences.md.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK, LICENCES, BILL = ROOT / "deploy/requirements.lock", ROOT / "docs/licences.md", ROOT / "deploy/sbom.json"


def bill() -> str:
    """The same text for the same lock: its serial number follows from what it lists."""
    lock = LOCK.read_text(encoding="utf-8")
    licences = dict(re.findall(r"^\| ([^ ]+) \| (.+) \|$", LICENCES.read_text(encoding="utf-8"), re.MULTILINE))
    # A package that is locked in two versions, for older and newer Pythons, stands here twice.
    locked = sorted(set(re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\\n]+)", lock, re.MULTILINE)))
    components = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{version}",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version}",
            "licenses": [{"license": {"name": licence}} for licence in licences[name].split(", ")],
        }
        for name, version in locked
    ]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(components))}",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "name": "biotrain", "licenses": [{"license": {"id": "Apache-2.0"}}]}
        },
        "components": components,
    }
    return json.dumps(document, indent=1) + "\n"


def main() -> int:
    if "--check" not in sys.argv[1:]:
        BILL.write_text(bill(), encoding="utf-8")
    elif not BILL.exists() or BILL.read_text(encoding="utf-8") != bill():
        print("deploy/sbom.json is not current: run tools/sbom.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
