"""The numbers as Prometheus reads them: prometheus_client's formats, our numbers.

Imported with the first question: prometheus_client takes 50 ms to load.
Source: https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from esinfer.metrics.board import Board
from esinfer.metrics.meters import FAMILIES, Family


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is not counted but asked for; ``endpoints`` is None if the store did not answer."""

    info: Mapping[str, str]
    endpoints: Mapping[tuple[str, str], int] | None = field(default=None)


def expose(board: Board, facts: Facts, accept: str) -> tuple[bytes, str]:
    """The exposition and its media type: OpenMetrics where ``accept`` asks for it, else text."""
    encode, content_type = choose_encoder(accept)
    return encode(_Collector(board, facts)), content_type


class _Collector(Collector):
    def __init__(self, board: Board, facts: Facts) -> None:
        self._board = board
        self._facts = facts

    def collect(self) -> Iterable[Metric]:
        yield InfoMetricFamily("esinfer", "The server.", value=dict(self._facts.info))
        yield from _of_store(self._facts.endpoints)
        sums = _sums(self._board)
        for family in FAMILIES:
            yield _metric(family, sums.get(family.name, {}))
        yield from _of_processes([slot.pid for slot in self._board])


def _of_store(endpoints: Mapping[tuple[str, str], int] | None) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "esinfer_store_up", "Whether the store answered.", value=float(endpoints is not None)
    )
    metric = GaugeMetricFamily(
        "esinfer_endpoints", "Inference endpoints stored.", labels=("service", "task_type")
    )
    for labels, count in sorted((endpoints or {}).items()):
        metric.add_metric(labels, count)
    yield metric


def _sums(board: Board) -> dict[str, dict[tuple[str, ...], list[float]]]:
    """The numbers of all processes added up, by family and labels."""
    sums: dict[str, dict[tuple[str, ...], list[float]]] = {}
    for slot in board:
        for entry in slot.read():
            family, labels = entry.key
            own = sums.setdefault(family, {})
            old = own.get(labels)
            own[labels] = entry.numbers if old is None else list(map(sum, zip(old, entry.numbers)))  # noqa: B905
    return sums


def _metric(family: Family, numbers: Mapping[tuple[str, ...], list[float]]) -> Metric:
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.text, labels=family.labels)
        for labels, (*counts, total) in sorted(numbers.items()):
            bounds = [*map(str, family.bounds), "+Inf"]
            histogram.add_metric(labels, list(zip(bounds, accumulate(counts), strict=True)), total)
        return histogram
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.text, labels=family.labels)
    for labels, (number,) in sorted(numbers.items()):
        metric.add_metric(labels, number)
    return metric


def _of_processes(pids: list[int]) -> Iterator[Metric]:
    """The usual ``process_*``; of several workers each with its number."""
    families: dict[str, Metric] = {}
    for number, pid in enumerate(pids):
        for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
            kept = families.setdefault(metric.name, metric)
            if len(pids) > 1:
                own, metric.samples = metric.samples, []
                kept.samples += [
                    sample._replace(labels={**sample.labels, "worker": str(number)})
                    for sample in own
                ]
    yield from families.values()
