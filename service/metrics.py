"""The supervisor's counters in Prometheus' text format."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from messaging import Broker
from service.broker_log import BrokerLog
from service.gauges import Gauges
from service.refusals import REQUESTS, Refusals

if TYPE_CHECKING:
    from service.alert_desk import AlertDesk
    from service.feed import Feed
    from service.ingest import Ingest
    from service.plan_shelf import PlanShelf

_INGEST = {
    "received": "Messages taken from the broker",
    "stored": "Messages committed that were new",
    "duplicates": "Messages that were there already",
    "quarantined": "Messages that could not be understood, or contradict what is stored",
    "conflicts": "Numbers given out twice with other content: two devices under one name",
    "clock_off": "Messages whose time is more than a day from the supervisor's",
    "unknown_fields": "Messages with fields that this version does not know: kept, the fields left out",
    "batches": "Transactions of ingest",
    "store_failures": "Transactions that the database refused",
}


class Metrics(Collector):
    """Read from where they are counted, whenever they are asked for."""

    def __init__(
        self,
        broker: Broker,
        broker_log: BrokerLog,
        ingest: Ingest,
        feed: Feed,
        desk: AlertDesk,
        shelf: PlanShelf,
    ) -> None:
        self._broker, self._ingest, self._feed, self._desk, self._shelf = broker, ingest, feed, desk, shelf
        self._started = time.time()
        self.refusals = Refusals(REQUESTS, "a request is refused; more of its kind are counted only")
        self._broker_log = broker_log
        #: From the database, refreshed by the watch: alerts by state, devices, gaps.
        self.gauges: Gauges = {}
        self.responses: Counter[int] = Counter()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        counters = asdict(self._ingest.counters)
        for name, help_text in _INGEST.items():
            yield CounterMetricFamily(f"biotrain_messages_{name}", help_text, value=counters[name])
        yield GaugeMetricFamily(
            "biotrain_store_ok", "1 while the database takes messages", value=float(not self._ingest.store_error)
        )
        broker = self._broker.counters
        yield GaugeMetricFamily("biotrain_broker_connected", "1 while connected", value=float(self._broker.connected))
        yield CounterMetricFamily("biotrain_broker_connections", "Connections made", value=broker.connections)
        yield CounterMetricFamily("biotrain_broker_connections_lost", "Connections lost", value=broker.connections_lost)
        yield CounterMetricFamily("biotrain_broker_published", "Messages published", value=broker.published)
        yield GaugeMetricFamily("biotrain_live_readers", "Readers of the live stream", value=self._feed.readers)
        told = CounterMetricFamily(
            "biotrain_alert_deliveries", "Alerts handed to channels", labels=["channel", "outcome"]
        )
        for (channel, outcome), count in sorted(self._desk.counts.items()):
            told.add_metric([channel, outcome], count)
        yield told
        refused = CounterMetricFamily("biotrain_requests_refused", "Requests refused, by reason", labels=["reason"])
        for reason, count in sorted(self.refusals.counts.items()):
            refused.add_metric([reason], count)
        yield refused
        turned_away = CounterMetricFamily(
            "biotrain_broker_refused", "Connections that the broker has refused, by reason", labels=["reason"]
        )
        for reason, count in sorted(self._broker_log.refusals.counts.items()):
            turned_away.add_metric([reason], count)
        yield turned_away
        answered = CounterMetricFamily("biotrain_http_responses", "Answers of page and API, by status", labels=["code"])
        for code, count in sorted(self.responses.items()):
            answered.add_metric([str(code)], count)
        yield answered
        yield CounterMetricFamily("biotrain_plan_parts_sent", "Pieces of plans sent", value=self._shelf.parts_sent)
        yield CounterMetricFamily(
            "biotrain_plan_parts_refused",
            "Pieces asked for that are not here",
            value=self._shelf.refused,
        )
        for name, (help_text, value) in sorted(self.gauges.items()):
            yield GaugeMetricFamily(f"biotrain_{name}", help_text, value=value)
