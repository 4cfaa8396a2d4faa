"""The chaos run: a site streams and adapts while all of it is killed, cut and slowed; then it is checked.

    python -m benchmarks.chaos --seconds 600 --devices 20 --seed 1
    python -m benchmarks.chaos --seconds 60 --devices 4 --postgres

The same seed gives the same faults at the same times. With --namespace (root, Linux) all of it runs in a network
namespace of its own, whose interface goes down, too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.chaos.check import check
from benchmarks.chaos.schedule import Fault, FaultKind, schedule
from benchmarks.chaos.site import Site, SiteSettings

_USER_ERROR = 2
_SLACK_S = 5.0
_CALM_S = 5.0
"""Of the stream, after the last fault."""
_START_WITHIN_S = 300.0
_END_WITHIN_S = 240.0
"""After the last window: for adaptations that run, and for what waits to be stored."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="of faults, from the first window on")
    parser.add_argument("--devices", type=int, default=20)
    parser.add_argument("--devices-per-agent", type=int, default=5, help="wearables beside one agent process")
    parser.add_argument("--speed", type=float, default=6.0, help="times real time; a window is 3 s of signal")
    parser.add_argument("--every", type=float, default=4.0, help="seconds from fault to fault, on average")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgres", action="store_true", help="the store is PostgreSQL, and is killed, too")
    parser.add_argument("--namespace", action="store_true", help="in a network namespace, whose interface goes down")
    parser.add_argument("--calibration-epochs", type=int, default=30)
    parser.add_argument("--keep", type=Path, help="keep all that the parties leave in this new folder")
    options = parser.parse_args()
    if options.namespace and "BIOTRAIN_CHAOS_NAMESPACE" not in os.environ:
        _enter_namespace()
    folder = Path(tempfile.mkdtemp(prefix="biotrain-chaos-")) if options.keep is None else options.keep
    folder.mkdir(parents=True, exist_ok=True)
    result = asyncio.run(run(options, folder.absolute()))
    print(json.dumps(result, indent=1))
    if result["problems"]:
        sys.exit(f"{len(result['problems'])} problems; all that the parties left is in {folder}")
    if options.keep is None:
        shutil.rmtree(folder)


def _enter_namespace() -> None:
    os.environ["BIOTRAIN_CHAOS_NAMESPACE"] = "1"
    again = [sys.executable, "-m", "benchmarks.chaos", *sys.argv[1:]]
    words = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *again]
    os.execvp("unshare", words)  # noqa: S606


async def run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    settings = SiteSettings(
        folder,
        devices=options.devices,
        devices_per_agent=options.devices_per_agent,
        speed=options.speed,
        stream_s=options.seconds + _CALM_S,
        postgres=options.postgres,
        seed=options.seed,
        calibration_epochs=options.calibration_epochs,
    )
    faults = schedule(
        options.seed,
        options.seconds,
        devices=settings.devices,
        agents=settings.agents,
        every_s=options.every,
        without=() if options.namespace else (FaultKind.NETWORK_DOWN,),
    )
    site = Site(settings)
    problems: list[str] = []
    try:
        await site.start()
        await _until_all_run(site)
        began = time.monotonic()
        with (folder / "faults.jsonl").open("w") as log:
            await _suffer(site, faults, began, log)
        problems += await _until_all_have_ended(site, began + settings.stream_s + _END_WITHIN_S)
        took_s = time.monotonic() - began
        await site.stop()
        (folder / "site.json").write_text(json.dumps(site.describe()))
        report = await asyncio.to_thread(check, folder)
    finally:
        await site.stop()
        site.remove_database()
    problems += [
        f"{one['process']} ended with {one['code']}: {one['log'][-300:]}"
        for party in site.parties
        for one in party.unplanned
        if not _for_the_database(one, site)
    ]
    waiting = [one for one in site.supervisor.unplanned if _for_the_database(one, site)]
    problems += [f"{p.name} took {p.stop_s:.1f} s to end" for p in site.parties if (p.stop_s or 0) > 5.0]
    result = asdict(report)
    problems += result.pop("problems")
    return {
        "seed": options.seed,
        "seconds": round(took_s, 1),
        "store": "postgresql" if options.postgres else "sqlite",
        "agent_processes": settings.agents,
        "faults": dict(sorted(Counter(fault.kind.value for fault in faults).items())),
        "chunks_lost": sum(link.counts["lost"] for link in site.links),
        "starts_without_database": len(waiting),
        "connections_cut": sum(proxy.counts["cut"] for proxy in (*site.links, *site.ways, site.way)),
        **result,
        "problems": problems,
    }


def _for_the_database(end: dict[str, Any], site: Site) -> bool:
    """A supervisor that finds no database at its start says so and leaves, to be started again: systemd's work."""
    return (
        end["process"] == "supervisor"
        and end["code"] == _USER_ERROR
        and any(began <= end["time"] <= until + _SLACK_S for began, until in site.database_away)
    )


async def _until_all_run(site: Site) -> None:
    async with asyncio.timeout(_START_WITHIN_S):
        await site.all_run.wait()


async def _suffer(site: Site, faults: list[Fault], began: float, log: Any) -> None:
    """One fault after the other has begun; they may last beside each other."""
    async with asyncio.TaskGroup() as group:
        for fault in faults:
            await asyncio.sleep(max(began + fault.at_s - time.monotonic(), 0))
            log.write(json.dumps({"time": time.time(), **asdict(fault)}) + "\n")
            log.flush()
            group.create_task(site.apply(fault))


async def _until_all_have_ended(site: Site, deadline: float) -> list[str]:
    """The agents end by themselves when all is stored; whoever does not is stuck."""
    try:
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + max(deadline - time.monotonic(), 1)):
            for agent in site.agents:
                await agent.done.wait()
    except TimeoutError:
        return [f"{agent.name} has not ended" for agent in site.agents if not agent.done.is_set()]
    return []


if __name__ == "__main__":
    main()
