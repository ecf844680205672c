"""Measures of a search: published and hand-made values, ties, confidence, files, runs."""

from __future__ import annotations

from math import log2
from pathlib import Path

import pytest

from assise.errors import UsageError
from assise.search.evaluate import evaluate
from assise.search.judgements import Rank, read_judgements, read_queries, write_run


def ranking(*rows: str, score: float | None = None) -> Rank:
    """A method that always finds the same rows."""
    scores = [score if score is not None else 10.0 - place for place in range(len(rows))]
    return lambda _, limit: list(zip(rows, scores, strict=True))[:limit]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_the_measures_are_those_of_the_books() -> None:
    judgements = {"q": {"a": 3, "b": 2, "c": 1, "d": 0}}
    found = evaluate({"ours": ranking("x", "b", "a", "d")}, {"q": "text"}, judgements)
    measures = found.methods[0].measures
    ideal = 3 + 2 / log2(3) + 1 / 2
    assert measures["nDCG@10"].mean == pytest.approx((2 / log2(3) + 3 / 2) / ideal, abs=1e-6)
    assert measures["MRR"].mean == pytest.approx(1 / 2)
    assert measures["recall@100"].mean == pytest.approx(2 / 3)
    assert found.value == measures["nDCG@10"].mean


def test_equal_scores_stay_in_the_order_of_the_ranking() -> None:
    judgements = {"q": {"a": 1}}
    for rows, rank in ((["a", "b"], 1.0), (["b", "a"], 0.5)):
        for score in (1.0, 1.00000001):
            found = evaluate({"ours": ranking(*rows, score=score)}, {"q": "text"}, judgements)
            assert found.methods[0].measures["MRR"].mean == rank


def test_a_row_that_is_found_twice_counts_once_and_nothing_found_is_zero() -> None:
    judgements = {"q": {"a": 1, "b": 1}}
    found = evaluate(
        {"twice": ranking("a", "a", "b"), "none": ranking()}, {"q": "text"}, judgements
    )
    assert found.value == pytest.approx(1)
    assert found.methods[1].measures["recall@100"].mean == 0
    assert found.methods[1].gain["recall@100"].mean == -1


def test_methods_are_compared_on_the_same_queries() -> None:
    queries = {str(number): str(number) for number in range(200)}
    judgements = {query: {query: 1} for query in queries}

    def find(query: str, limit: int, *, every: int) -> list[tuple[str, float]]:
        return [(query, 1.0)][:limit] if int(query) % every else [("x", 2.0), (query, 1.0)]

    def better(query: str, limit: int) -> list[tuple[str, float]]:
        return find(query, limit, every=4)

    def worse(query: str, limit: int) -> list[tuple[str, float]]:
        return find(query, limit, every=2)

    first, second = evaluate({"worse": worse, "better": better}, queries, judgements).methods
    assert {each.mean for each in first.gain.values()} == {0}
    estimate, gain = first.measures["MRR"], second.gain["MRR"]
    assert estimate.mean == 0.75
    assert estimate.low == pytest.approx(0.715, abs=0.02)
    assert estimate.high == pytest.approx(0.785, abs=0.02)
    assert gain.mean == pytest.approx(0.125)
    assert 0.08 < gain.low < gain.mean < gain.high < 0.17
    assert evaluate({"worse": worse}, queries, judgements).methods[0] == first


def test_the_worst_queries_come_first_with_the_rank_of_what_fits() -> None:
    judgements = {"1": {"a": 1}, "2": {"b": 1}, "3": {"c": 1}, "other": {"a": 1}}
    queries = {"1": "one", "2": "two", "3": "three", "4": "four"}
    found = evaluate({"ours": ranking("b", "a")}, queries, judgements)
    assert [(each.query, each.text, each.first_rank) for each in found.worst] == [
        ("3", "three", None),
        ("1", "one", 2),
    ]
    assert (found.queries, found.unjudged, found.unknown) == (3, 1, 1)
    assert len(evaluate({"ours": ranking("x")}, queries, judgements, worst=1).worst) == 1


def test_queries_without_any_judgement_are_refused() -> None:
    with pytest.raises(UsageError, match="no query has a judgement"):
        evaluate({"ours": ranking("a")}, {"1": "one"}, {"2": {"a": 1}})


@pytest.mark.parametrize(
    "text",
    [
        "1\tone\n2\ttwo  words\n",
        "\ufeff_id\ttext\r\n1\tone\r\n\r\n2\ttwo  words\r\n",
        '{"_id": 1, "text": "one", "metadata": {}}\n{"_id": "2", "text": "two  words"}',
    ],
)
def test_queries_are_read(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    assert read_queries(file) == {"1": "one", "2": "two  words"}


@pytest.mark.parametrize(
    "text",
    [
        "query-id\tcorpus-id\tscore\n1\ta b\t2\n1\tc\t0\n2\ta b\t1\n",
        "1\ta b\t2\n1\tc\t-1\n2\ta b\t1",
        "1\t0\ta b\t2\n1\t0\tc\t0\n2\t0\ta b\t1",
    ],
)
def test_judgements_are_read(file: Path, text: str) -> None:
    file.write_text(text)
    assert read_judgements(file) == {"1": {"a b": 2, "c": 0}, "2": {"a b": 1}}


def test_judgements_of_trec_may_be_parted_by_blanks(file: Path) -> None:
    file.write_text("1 0 a 2\n2  0  b  1\n")
    assert read_judgements(file) == {"1": {"a": 2}, "2": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "has no query"),
        (b"id\ttext\n", "has no query"),
        (b"1 one\n", "line 1: no tab"),
        (b"\n1\ta\n1\tb\n", "line 3: query 1 a second time"),
        (b'{"_id": "1"}', "line 1: no JSON object"),
        (b'{"_id": null, "text": "a"}', "line 1: no JSON object"),
        (b"{" * 5000, "line 1: no JSON object"),
        (b"1\t\xff", "it is not UTF-8"),
    ],
)
def test_a_file_of_queries_that_is_none_is_refused(file: Path, text: bytes, message: str) -> None:
    file.write_bytes(text)
    with pytest.raises(UsageError, match=message):
        read_queries(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no judgement"),
        ("1\ta\tx\n", "line 1: x is no whole number"),
        ("qid\trow\tgrade\n1\ta\t0.5\n", "line 2: 0.5 is no whole number"),
        ("1\ta\n", "line 1: 2 columns"),
        ("1\ta\t1\tb\tc\n", "line 1: 5 columns"),
    ],
)
def test_a_file_of_judgements_that_is_none_is_refused(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_judgements(file)


def test_a_file_that_is_not_there_or_a_folder_is_refused(file: Path) -> None:
    for path in (file, file.parent):
        with pytest.raises(UsageError, match="cannot be read"):
            read_queries(path)


def test_a_run_has_the_columns_of_trec() -> None:
    lines = write_run(ranking("a b", "c"), {"1": "one", "2": "two"}, limit=1, tag="assise")
    assert list(lines) == ["1 Q0 a_b 1 10.0 assise", "2 Q0 a_b 1 10.0 assise"]
