"""Dashboard and rules: Prometheus' own tool takes them, and every metric that they name is one of a supervisor's."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from messaging import Broker, BrokerSettings
from service.broker_log import BrokerLog
from service.metrics import Metrics

_NAME = re.compile(r"\b(?:biotrain|process)_[a-z_]+\b")


@pytest.fixture
def folder(repository: Path) -> Path:
    return repository / "deploy" / "grafana"


@pytest.fixture
def known() -> set[str]:
    """What a supervisor's /metrics has; the gauges come from the database."""
    from types import SimpleNamespace

    from service.ingest import IngestCounters

    desk = SimpleNamespace(counts={("hook", "done"): 1})
    ingest = SimpleNamespace(counters=IngestCounters(), store_error="")
    shelf = SimpleNamespace(parts_sent=0, refused=0)
    metrics = Metrics(Broker(BrokerSettings()), BrokerLog(), ingest, SimpleNamespace(readers=0), desk, shelf)  # type: ignore[arg-type]
    text = metrics.text().decode()
    source = (Path(sys.modules["service.metrics"].__file__ or "").parent / "gauges.py").read_text()
    gauges = re.findall(r'^ +"([a-z_]+)": \("', source, re.MULTILINE)
    assert len(gauges) >= 4
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)) | {f"biotrain_{name}" for name in gauges}


def test_every_metric_of_dashboard_and_rules_is_a_supervisors(folder: Path, known: set[str]) -> None:
    dashboard = json.loads((folder / "fleet.json").read_text())
    used = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    used += [
        rule["expr"]
        for group in yaml.safe_load((folder / "alerts.yml").read_text())["groups"]
        for rule in group["rules"]
    ]
    names = {name for expression in used for name in _NAME.findall(expression)}
    assert len(names) > 12
    assert names <= known, names - known


def test_every_panel_has_a_place_of_its_own_and_the_variables_that_it_uses(folder: Path) -> None:
    dashboard = json.loads((folder / "fleet.json").read_text())
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time"} <= dashboard.keys()
    variables = {one["name"] for one in dashboard["templating"]["list"]} | {"__rate_interval"}
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert set(re.findall(r"\$\{?(\w+)", json.dumps(panel))) <= variables
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


@pytest.mark.parametrize(
    "words",
    [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml"), ("check", "config", "../prometheus.yml")],
)
def test_promtool_takes_it(folder: Path, words: tuple[str, ...]) -> None:
    tool = shutil.which("promtool") or shutil.which("promtool", path=str(Path(sys.executable).parent))
    if tool is None:
        pytest.skip("promtool is not installed")
    done = subprocess.run([tool, *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
