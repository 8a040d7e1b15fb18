"""Watching a local stream: one JSON line a minute, and Prometheus' text on a port when asked."""

import json
import logging
import time
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Self

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from pipelines.streaming.driver import LocalStream
from schemas.events import FIELDS
from transforms.settings import MICROSECONDS
from transforms.streaming.flow import WRITTEN
from transforms.streaming.watermark import BEGINNING

LOG = logging.getLogger(__name__)
EVERY_SECONDS = 60.0
# Of so many last batches the time is told.
LAST_BATCHES = 1_000
LOOPBACK = "127.0.0.1"
HELP = {
    "events": "Lines read, by kind and what became of them",
    "dead_letters": "Dead letters, by code",
    "rows": "Rows written, by table and cause",
    "decisions": "Rows of conversions written, by status",
}


class Monitor(Collector, AbstractContextManager["Monitor"]):
    """What a stream has counted, told every minute and to Prometheus on `port` (None: not)."""

    def __init__(self, stream: LocalStream, port: int | None) -> None:
        self.stream = stream
        self._batch_seconds: deque[float] = deque(maxlen=LAST_BATCHES)
        self._told = time.monotonic()
        self._now = self._look()
        self._server = None
        if port is not None:
            registry = CollectorRegistry(auto_describe=False)
            registry.register(self)
            self._server, _ = start_http_server(port, LOOPBACK, registry)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def after_batch(self, seconds: float) -> None:
        """Takes note of a batch; tells what is to be told once a minute is over."""
        self._batch_seconds.append(seconds)
        if time.monotonic() - self._told >= EVERY_SECONDS:
            self.tell()

    def tell(self) -> None:
        """Logs the line, and renews what Prometheus gets."""
        self._told = time.monotonic()
        self._now = self._look()
        LOG.info("%s", json.dumps(self._now))

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """The metrics, for Prometheus."""
        for name, words in HELP.items():
            labels = ["kind", "name"] if name in ("events", "rows") else ["name"]
            family = CounterMetricFamily(f"attribeam_{name}", words, labels=labels)
            for key, count in _flat(self._now[name]):
                family.add_metric(key, count)
            yield family
        for name, value in self._now.items():
            if isinstance(value, int | float):
                yield GaugeMetricFamily(f"attribeam_{name}", name.replace("_", " "), value=value)

    def _look(self) -> dict[str, Any]:
        counts: dict[str, Counter[str]] = {}
        for kind, name, count in self.stream.counters.table().iter_rows():
            counts.setdefault(kind, Counter())[name] += count
        seconds = sorted(self._batch_seconds)
        watermark = self.stream.watermark.value
        lag = None if watermark == BEGINNING else time.time() - watermark / MICROSECONDS
        letters = counts.get("dead_letters", Counter())
        return {
            "watermark_lag_seconds": lag if lag is None else round(lag, 3),
            "events": {kind: _chosen(counts, kind) for kind in FIELDS if kind in counts},
            "dead_letters": {
                name.removeprefix("dead_letter."): count for name, count in letters.items()
            },
            "rows": {table.name: dict(counts.get(table.name, {})) for table in WRITTEN},
            "decisions": dict(counts.get("status", {})),
            "outbox_rows": self.stream.outbox.waiting(),
            "state_bytes": self.stream.store.size_bytes(),
            "batch_seconds_p50": _quantile(seconds, 0.5),
            "batch_seconds_p99": _quantile(seconds, 0.99),
        }


def _chosen(counts: dict[str, Counter[str]], kind: str) -> dict[str, int]:
    names = ("read", "accepted", "duplicates", "dead_letters", "no_consent")
    return {name: counts[kind][name] for name in names}


def _flat(counts: dict[str, Any]) -> Iterable[tuple[list[str], int]]:
    for name, value in counts.items():
        if isinstance(value, dict):
            yield from (([name, inner], count) for inner, count in value.items())
        else:
            yield [name], value


def _quantile(ordered: list[float], share: float) -> float | None:
    return round(ordered[int(share * (len(ordered) - 1))], 3) if ordered else None
