"""The live table in the terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from biotrain.demo.picture import Picture


def render(picture: Picture, url: str, restarts: dict[str, int]) -> RenderableType:
    """One screen: what the device does, how well, and what has happened."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", justify="right")
    table.add_column()
    table.add_row("page", Text(url, style=f"bold cyan link {url}"))
    table.add_row("device", _state(picture))
    table.add_row("windows", f"{picture.windows}, dropped {picture.dropped}")
    table.add_row("accuracy", _accuracy(picture))
    table.add_row("drift", _drift(picture))
    table.add_row("adaptations", _adaptations(picture))
    table.add_row("stored", _stored(picture))
    if again := ", ".join(f"{name} {count}×" for name, count in restarts.items() if count):
        table.add_row("started again", Text(again, style="yellow"))
    events = Text("\n".join(picture.events) or "nothing yet", style="" if picture.events else "dim")
    return Group(Panel(table, title="biotrain demo", border_style="cyan"), Panel(events, title="events"))


def _state(picture: Picture) -> Text:
    text = Text(picture.state.replace("_", " "), style="bold green" if picture.state == "online" else "bold yellow")
    if picture.weights_version is not None:
        text.append(f", weights version {picture.weights_version}", style="not bold default")
    return text


def _accuracy(picture: Picture) -> Text:
    if picture.accuracy is None:
        return Text("no labelled window yet", style="dim")
    text = Text(f"{picture.accuracy:.0%}", style="bold")
    if picture.frozen_accuracy is not None:
        text.append(f"  (a copy that never adapts: {picture.frozen_accuracy:.0%})", style="not bold")
    return text


def _drift(picture: Picture) -> str:
    alerts = f"{picture.alerts} alert{'' if picture.alerts == 1 else 's'}"
    if picture.drift_statistic is None or picture.drift_threshold is None:
        return alerts
    return f"{alerts}, statistic {picture.drift_statistic:.2f} of {picture.drift_threshold:.2f}"


def _adaptations(picture: Picture) -> Text:
    done = ", ".join(f"{phase.replace('_', ' ')} {count}" for phase, count in picture.phases.items() if count)
    text = Text(done or "none yet", style="" if done else "dim")
    if picture.running:
        text.append(f"   training now: {picture.running}", style="yellow")
    return text


def _stored(picture: Picture) -> str:
    waiting = "" if picture.outbox is None else f", waiting in the agent's outbox {picture.outbox}"
    return f"{picture.stored} messages{waiting}"
