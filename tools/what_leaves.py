#!/usr/bin/env python3
"""Lists every field that an agent publishes:  tools/what_leaves.py [--check]

Writes docs/what-leaves.md from the models in schemas/; with --check it only compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schemas.base import Sequenced
from schemas.messages import MODELS
from schemas.topics import FROM_DEVICE, UNNUMBERED

LIST = Path(__file__).resolve().parent.parent / "docs" / "what-leaves.md"
HEAD = """# What leaves

Every field that an agent publishes, and so everything that leaves the wearable and its agent for broker and supervisor.
Written by `tools/what_leaves.py` from the models in `schemas/`, which refuse a field that is not theirs; a test holds
this list current, and another looks for samples in everything that a running agent sends.

None of these fields holds a sample of the signal. What comes nearest is a count or a mean over all windows of a period
(`telemetry`) and the figures of a drift detector (`drift`). A person is named by the name that the operator has given
(`wearer`): give a pseudonym.
"""


def rows(schema: dict[str, Any], definitions: dict[str, Any], path: str = "") -> Iterator[tuple[str, str, str]]:
    """Field, type and description, nested models unfolded."""
    for name, field in schema.get("properties", {}).items():
        inner, kind = _resolve(field, definitions)
        here = f"{path}{name}"
        description = field.get("description") or inner.get("description", "")
        yield here, kind, " ".join(description.split())
        if inner.get("properties"):
            yield from rows(inner, definitions, f"{here}.")


def _resolve(field: dict[str, Any], definitions: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The model behind a reference, and the type in words."""
    if "anyOf" in field:
        field = next(choice for choice in field["anyOf"] if choice.get("type") != "null")
    if "$ref" in field:
        field = definitions[field["$ref"].rpartition("/")[2]]
    if "enum" in field:
        return field, "one of " + ", ".join(map(str, field["enum"]))
    kind = str(field.get("type", "any"))
    if kind == "array":
        inner, of = _resolve(field.get("items", {}), definitions)
        return inner, f"list of {of}"
    if kind == "object" and "additionalProperties" in field and not field.get("properties"):
        return {}, f"map of names to {_resolve(field['additionalProperties'], definitions)[1]}"
    return field, str(field.get("format", kind))


def text() -> str:
    common = set(Sequenced.model_json_schema(by_alias=True)["properties"])
    parts = [HEAD]
    for title, kinds, wanted in (
        ("In every message", FROM_DEVICE[:1], common),
        *((f"`{kind}`", (kind,), None) for kind in (*FROM_DEVICE, *UNNUMBERED)),
    ):
        schema = MODELS[kinds[0]].model_json_schema(by_alias=True)
        parts.append(f"\n## {title}\n\n| field | type | what |\n|---|---|---|\n")
        for name, kind, description in rows(schema, schema.get("$defs", {})):
            if (name.partition(".")[0] in common) == (wanted is not None):
                parts.append(f"| `{name}` | {kind} | {description.replace('|', '/')} |\n")
    return "".join(parts)


def main() -> int:
    if "--check" not in sys.argv[1:]:
        LIST.write_text(text(), encoding="utf-8")
    elif not LIST.exists() or LIST.read_text(encoding="utf-8") != text():
        print("docs/what-leaves.md is not current: run tools/what_leaves.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
