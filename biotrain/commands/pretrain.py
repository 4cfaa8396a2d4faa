"""`biotrain pretrain`: a model of other people, as plan and weights."""

from __future__ import annotations

import json
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.errors import UserError

if TYPE_CHECKING:
    from biotrain.pretrain.run import People, Pretrained
    from biotrain.pretrain.settings import TrainingSettings


class NormChoice(StrEnum):
    """Group norm can be trained on the device one window at a time; frozen keeps batch norm's running statistics."""

    GROUP = "group"
    FROZEN = "frozen"


def main(
    out: Annotated[Path, typer.Option(help="Folder to write NAME.plan and NAME.weights into.")],
    data: Annotated[
        Path | None, typer.Option(help="A data set's YAML file, or a folder of SUBJECT_sessionN.npz.")
    ] = None,
    leave_out: Annotated[str | None, typer.Option(help="The person the model is for: not trained on.")] = None,
    simulator: Annotated[bool, typer.Option("--simulator", help="Train on simulated EOG wearers instead.")] = False,
    people: Annotated[int, typer.Option(min=1, help="Simulated people.")] = 12,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first simulated person.")] = 101,
    sessions: Annotated[str, typer.Option(help="Sessions of each simulated person.")] = "1-2",
    trials: Annotated[int, typer.Option(min=11, help="Trials in a simulated session.")] = 220,
    model: Annotated[str | None, typer.Option(help="Model; by default the EpiDeNet that suits the windows.")] = None,
    norm: Annotated[NormChoice, typer.Option(help="What normalisation does.")] = NormChoice.GROUP,
    epochs: Annotated[int, typer.Option(min=1)] = 40,
    batch: Annotated[int, typer.Option(min=1, help="Windows in a step.")] = 64,
    learning_rate: Annotated[float, typer.Option(min=1e-9, max=1.0, help="AdamW's.")] = 1e-3,
    seed: Annotated[int, typer.Option(min=0, help="Of initial weights and of the order of windows.")] = 0,
    name: Annotated[str | None, typer.Option(help="Name of the files; the model's by default.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where results and checkpoints are kept.")] = None,
    sign: Annotated[
        Path | None, typer.Option(help="Sign plan and weights: an authority's folder, or a signing key's file.")
    ] = None,
    passphrase: Annotated[
        str | None,
        typer.Option(envvar="BIOTRAIN_CA_PASSPHRASE", show_envvar=True, hidden=True, help="Of the key."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Train a model on everybody but one person, and compile it to a plan and its weights.

    Interrupt it at any time: the same command continues where it was. A result that exists is found again at once.

    Example:

        biotrain pretrain --data datasets/emg_forearm.yaml --leave-out U1 --out models
        biotrain pretrain --simulator --out models --name eog
    """
    from biotrain.files import default_cache
    from biotrain.pretrain.run import OtherPeople, SimulatedPeople, write_pretrained
    from biotrain.pretrain.settings import TrainingSettings
    from device_agent.sources.dataset import open_dataset
    from device_agent.sources.recording import parse_sessions

    chosen: People
    if simulator:
        if data or leave_out:
            raise UserError("--simulator and --data exclude each other: whose windows shall it be?")
        chosen = SimulatedPeople(range(first_seed, first_seed + people), parse_sessions(sessions), trials)
    elif data and leave_out:
        chosen = OtherPeople(open_dataset(data), leave_out)
    else:
        raise UserError("name the recordings with --data DIR --leave-out SUBJECT, or use --simulator")
    settings = TrainingSettings(
        model=model, norm=norm.value, epochs=epochs, batch_size=batch, learning_rate=learning_rate, seed=seed
    )
    signer = None
    if sign is not None:  # whatever is wrong with it is said before the training
        from biotrain.trust.signer import open_signer

        signer = open_signer(sign, passphrase)
    made = _with_progress(chosen, settings, cache or default_cache())
    if signer is not None:
        from biotrain.trust.signing import sign_plan

        made = replace(made, plan=sign_plan(made.plan, signer, weights=made.weights))
    plan, weights = write_pretrained(made, out, name or str(made.report["model"]))
    if as_json:
        print(json.dumps({**made.report, "cached": made.cached, "plan": str(plan), "weights": str(weights)}))
    else:
        how = "found in the cache" if made.cached else f"trained for {made.report['epochs']} epochs"
        print(
            f"{made.report['model']}: {how}; {made.report['windows']} windows of {len(made.report['people'])} people, "
            f"accuracy on them {made.report['accuracy']:.1%}\n{plan}\n{weights}"
        )


def _with_progress(people: People, settings: TrainingSettings, cache: Path) -> Pretrained:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from biotrain.pretrain.run import pretrain

    columns = (
        TextColumn("pre-training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}, accuracy {task.fields[accuracy]:.1%}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("epochs", total=settings.epochs, visible=False, loss=0.0, accuracy=0.0)
        return pretrain(
            people,
            settings,
            cache,
            lambda epoch: progress.update(
                task, completed=epoch.number, loss=epoch.loss, accuracy=epoch.accuracy, visible=True
            ),
        )
