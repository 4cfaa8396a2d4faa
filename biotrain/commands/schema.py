"""`biotrain schema`: the contracts as JSON Schema and AsyncAPI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from biotrain.asyncapi import documents
from biotrain.files import write_whole
from schemas.errors import UserError


def main(
    out: Annotated[Path, typer.Option(help="Folder to write into; made when it is not there.")] = Path("docs/schemas"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 2 when a file is not current.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as one JSON object.")] = False,
) -> None:
    """Write the JSON Schema of every MQTT message, and one AsyncAPI 3 document over all topics.

    Example:

        biotrain schema --out docs/schemas
    """
    contents = {
        name: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for name, document in documents().items()
    }
    if check:
        stale = [name for name, text in contents.items() if not _is_current(out / name, text)]
        if stale:
            raise UserError(f"{out}: not current: {', '.join(stale)}: run `biotrain schema --out {out}`")
    else:
        for name, text in contents.items():
            write_whole(out / name, text.encode())
    if as_json:
        print(json.dumps({"folder": str(out), "files": sorted(contents)}))
    else:
        print(f"{len(contents)} files in {out} {'are current' if check else 'written'}")


def _is_current(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text
