"""`biotrain doctor`: what is wrong with a deployment, and what to do."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from biotrain.doctor.finding import Finding


def main(
    broker: Annotated[str | None, typer.Option(help="The MQTT broker, HOST:PORT.")] = None,
    identity: Annotated[
        Path | None, typer.Option(help="Folder of `biotrain certs issue`, of agent or supervisor.")
    ] = None,
    store: Annotated[str | None, typer.Option(help="The supervisor's database.")] = None,
    listen: Annotated[str | None, typer.Option(help="Where the supervisor serves its page, HOST:PORT.")] = None,
    page: Annotated[str | None, typer.Option(help="A running supervisor's address, http://HOST:PORT.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="The agent's state.")] = None,
    wearable: Annotated[str | None, typer.Option(help="The wearable, as the agent names it.")] = None,
    trusted_keys: Annotated[
        Path | None, typer.Option(help="The site's trusted.keys: do they fit the wearable and its plan?")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all findings as one JSON object.")] = False,
) -> None:
    """Check a deployment: packages, clock, ports, broker, database, permissions, wearable.

    Give it the options that agent and supervisor are given; what is not named is not looked at. It
    changes nothing. A wearable answers one agent at a time, and a device's certificate holds one
    connection: a running agent loses either for a moment. Exit code 0: nothing failed; 2: something did.

    Example:

        biotrain doctor --broker broker.example:8883 --identity device-left --state-dir agent-state
        biotrain doctor --broker 127.0.0.1:1883 --store sqlite:///biotrain.db --listen 127.0.0.1:8000 --json
    """
    from biotrain.doctor.finding import Deployment, Verdict
    from biotrain.doctor.run import run_checks
    from biotrain.logging import configure_logging

    configure_logging("error")
    deployment = Deployment(broker, identity, store, listen, page, state_dir, wearable, trusted_keys)
    findings: list[Finding] = []
    for finding in run_checks(deployment):
        findings.append(finding)
        if not as_json:
            _print(finding)
    failed = sum(finding.verdict is Verdict.FAILED for finding in findings)
    if as_json:
        print(json.dumps({"ok": not failed, "findings": [asdict(finding) for finding in findings]}))
    if failed:
        raise typer.Exit(2)


def _print(finding: Finding) -> None:
    from rich.console import Console
    from rich.markup import escape

    from biotrain.doctor.finding import Verdict

    marks = {
        Verdict.OK: "[green]✓[/]",
        Verdict.WARNING: "[yellow]![/]",
        Verdict.FAILED: "[red]✗[/]",
        Verdict.SKIPPED: "[dim]·[/]",
    }
    console = Console(highlight=False)
    console.print(f"{marks[finding.verdict]} {escape(finding.check)}: {escape(finding.detail)}")
    if finding.advice:
        console.print(f"    → {escape(finding.advice)}")
