"""How good a search is: its measures on judged queries, by method, with confidence.

The measures are those of trec_eval, by ir-measures: nDCG@10 with linear gain, the reciprocal rank
of the first row that fits, and the share of the rows that fit among the first 100.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from operator import sub
from statistics import fmean
from typing import Any

from assise import extras
from assise.errors import UsageError
from assise.search.judgements import Rank

MEASURES = {"nDCG@10": "nDCG@10", "MRR": "RR", "recall@100": "R@100"}
"""The measures as they are printed, and as ir-measures names them; the first one decides."""

DEPTH = 100
"""How many rows of a ranking are measured."""

RESAMPLES = 1000
SEED = 17

Judgements = Mapping[str, Mapping[str, int]]
Scores = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Mean:
    """The mean of a measure over the queries, and where it lies in 95 of 100 samples of queries."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Measured:
    """A way of searching, its measures, and by how much each exceeds that of the first method."""

    name: str
    measures: dict[str, Mean]
    gain: dict[str, Mean]


@dataclass(frozen=True)
class Worst:
    """A query that the first method answers badly.

    `first_rank` is where its first row that fits stands, from 1; None if it is not found.
    """

    query: str
    text: str
    value: float
    first_rank: int | None


@dataclass(frozen=True)
class Evaluation:
    """The measures of each method on the judged queries, and the worst queries of the first.

    `unjudged` queries have no judgement; `unknown` ones have judgements, but no text. Neither are
    measured.
    """

    queries: int
    unjudged: int
    unknown: int
    methods: list[Measured]
    worst: list[Worst]

    @property
    def value(self) -> float:
        """nDCG@10 of the first method."""
        return self.methods[0].measures["nDCG@10"].mean


def evaluate(
    methods: Mapping[str, Rank],
    queries: Mapping[str, str],
    judgements: Judgements,
    *,
    worst: int = 10,
) -> Evaluation:
    """Measure how well each method ranks the judged rows.

    The intervals are percentiles of a bootstrap over the queries; all methods and measures are
    resampled with the same queries, so that differences are paired (Efron and Tibshirani, An
    Introduction to the Bootstrap, 1993, chapter 13; Sakai, SIGIR 2006).

    Raises:
        UsageError: no query is judged. MissingExtraError: ir-measures is not installed.
    """
    judged = {query: text for query, text in queries.items() if query in judgements}
    if not judged:
        raise UsageError(
            "no query has a judgement", remedy="Use the same ids in queries and judgements."
        )
    asked = {query: judgements[query] for query in judged}
    runs = {name: _rank_all(rank, judged) for name, rank in methods.items()}
    values = {name: _measure(run, asked) for name, run in runs.items()}
    means = {name: _resample(each) for name, each in values.items()}
    first = next(iter(methods))
    return Evaluation(
        queries=len(judged),
        unjudged=len(queries) - len(judged),
        unknown=len(judgements) - len(judged),
        methods=[
            Measured(
                name,
                _estimate(values[name], means[name]),
                _estimate(_exceed(values, name, first), _exceed(means, name, first)),
            )
            for name in methods
        ],
        worst=_find_worst(judged, runs[first], asked, values[first]["nDCG@10"])[:worst],
    )


def _rank_all(rank: Rank, queries: Mapping[str, str]) -> dict[str, list[str]]:
    """The ids that a method finds for each query, each once, in its order."""
    found = {}
    for query, text in queries.items():
        ranked = sorted(rank(text, DEPTH), key=lambda each: -each[1])
        once = dict.fromkeys(row for row, _ in ranked)
        found[query] = [*once][:DEPTH]
    return found


def _measure(run: Mapping[str, Sequence[str]], judgements: Judgements) -> dict[str, list[float]]:
    """Each measure of each query, in the order of the judgements.

    ir-measures breaks ties by id, backwards, so that it gets ranks as scores.
    """
    library: Any = extras.load("ir_measures", extra="search")
    scored = {
        query: {row: float(DEPTH - place) for place, row in enumerate(rows)}
        for query, rows in run.items()
    }
    measures = {library.parse_measure(name): shown for shown, name in MEASURES.items()}
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for metric in library.iter_calc(list(measures), judgements, scored):
        found[measures[metric.measure]][metric.query_id] = metric.value
    return {shown: [each[query] for query in judgements] for shown, each in found.items()}


def _resample(values: Scores) -> dict[str, list[float]]:
    """The means of each measure over random queries, drawn again and again.

    The draws are the same for all methods of as many queries.
    """
    drawn = random.Random(SEED)  # noqa: S311
    count = len(values["nDCG@10"])
    means: dict[str, list[float]] = {name: [] for name in values}
    for _ in range(RESAMPLES):
        places = drawn.choices(range(count), k=count)
        for name, each in values.items():
            means[name].append(sum(map(each.__getitem__, places)) / count)
    return means


def _exceed(of_method: Mapping[str, Scores], name: str, first: str) -> dict[str, list[float]]:
    """By how much the values of a method exceed those of the first one."""
    pairs = {
        each: zip(of_method[name][each], of_method[first][each], strict=True) for each in MEASURES
    }
    return {name: list(starmap(sub, found)) for name, found in pairs.items()}


def _estimate(values: Scores, means: Scores) -> dict[str, Mean]:
    """Each measure with the percentiles of its resampled means."""
    cut = RESAMPLES // 40
    ordered = {name: sorted(each) for name, each in means.items()}
    return {
        name: Mean(fmean(each), ordered[name][cut], ordered[name][-cut - 1])
        for name, each in values.items()
    }


def _find_worst(
    queries: Mapping[str, str],
    run: Mapping[str, Sequence[str]],
    judgements: Judgements,
    values: Sequence[float],
) -> list[Worst]:
    """The queries that are answered worse than they could be, the worst first."""
    found = []
    for (query, text), value in zip(queries.items(), values, strict=True):
        grades = [judgements[query].get(row, 0) for row in run[query]]
        first = next((place for place, grade in enumerate(grades, 1) if grade), None)
        if value < 1:
            found.append(Worst(query, text, value, first))
    return sorted(found, key=lambda each: (each.value, -(each.first_rank or DEPTH + 1)))
