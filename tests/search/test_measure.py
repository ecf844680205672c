"""`assise search eval` and runs, over an index with access rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.search.asking import OWNER, STATISTICS, TABLES, draw_queries
from tests.search.oracle import rank

from assise.cli.run import run as run_command
from assise.project import Project
from assise.search.rankings import METHODS, open_rankings

Run = Callable[..., tuple[int, str, str]]
QUERIES = {
    f"q{number}": text
    for number, text in enumerate(draw_queries(20))
    if rank(TABLES["books"], text, STATISTICS["books"])
}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The queries, and as judgements the row that BM25 by brute force ranks first."""
    queries, judgements = tmp_path / "queries.jsonl", tmp_path / "judgements.tsv"
    lines = [json.dumps({"_id": name, "text": text}) for name, text in QUERIES.items()]
    queries.write_text("\n".join(lines))
    best = {
        name: rank(TABLES["books"], text, STATISTICS["books"])[0][0][0]
        for name, text in QUERIES.items()
    }
    judged = [f"{name}\t{key}\t1" for name, key in best.items()]
    judgements.write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]))
    return queries, judgements


@pytest.fixture
def run(library: Project, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command of `assise search`: exit code, stdout and stderr."""

    def run_it(*arguments: object) -> tuple[int, str, str]:
        place = ["-f", str(library.path.parent), "--to", str(library.workspace.to)]
        code = run_command(["search", *map(str, arguments), *place])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run_it


def test_eval_compares_methods(run: Run, files: tuple[Path, Path]) -> None:
    code, out, _ = run("eval", *files, "--in", "books", "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["queries"], found["unjudged"], found["worst"]) == (len(QUERIES), 0, [])
    first, *others = found["methods"]
    assert [first["name"], *(each["name"] for each in others)] == list(METHODS)
    assert first["measures"]["nDCG@10"] == {"mean": 1, "low": 1, "high": 1}
    assert all(each["gain"]["MRR"]["mean"] < 0 for each in others if each["name"] != "most")


def test_eval_fails_under_a_bound_and_lists_the_worst_queries(
    run: Run, files: tuple[Path, Path]
) -> None:
    arguments = ("eval", *files, "--in", "books", "--methods", "ts_rank,any", "--worst", 2)
    code, out, talk = run(*arguments, "--fail-under", "0.999")
    assert code == 3
    assert "under 0.999" in talk
    assert run(*arguments, "--fail-under", "60")[0] == 2
    count, own, other, gain, *worst = out.splitlines()
    assert count == f"{len(QUERIES)} judged queries"
    assert own.startswith("ts_rank")
    assert other.startswith("any")
    assert gain.startswith("any against ts_rank: nDCG@10 +")
    assert len(worst) == 2
    assert run(*arguments, "--fail-under", "0.01")[0] == 0


def test_a_run_has_exact_scores_of_all_rows(run: Run, files: tuple[Path, Path]) -> None:
    out = files[0].with_name("out.trec")
    command = ("query", "--queries", files[0], "--in", "books", "--limit", 5, "--run", out)
    assert run(*command)[0] == 0
    lines = [line.split() for line in out.read_text().splitlines()]
    for name, text in QUERIES.items():
        expected = rank(TABLES["books"], text, STATISTICS["books"])[:5]
        found = [line for line in lines if line[0] == name]
        assert [line[2] for line in found] == [str(key[0]) for key, _ in expected]
        assert [line[3] for line in found] == [str(n + 1) for n in range(len(expected))]
        for line, (_, score) in zip(found, expected, strict=True):
            assert float(line[4]) == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize("given", [("books,signs",), ("books", "signs"), ("books", " signs,")])
def test_tables_are_given_with_commas_or_often(run: Run, given: tuple[str, ...]) -> None:
    options = [each for name in given for each in ("--in", name)]
    code, out, talk = run("query", "w0", "--as", "admin", "--limit", 500, "--json", *options)
    if given[-1].endswith(","):
        assert (code, "table '' is not searched" in talk) == (2, True)
        return
    assert code == 0
    assert {each["type"] for each in json.loads(out)["results"]} == {"books", "signs"}


def test_a_user_ranks_only_what_it_sees(library: Project) -> None:
    with open_rankings(library.search, ["books", "signs"], user_id=7) as methods:
        assert list(methods) == ["any", "most", "all"]
        ranked = methods["any"](QUERIES["q0"], 100)
    books = [name.removeprefix("books:") for name, _ in ranked if name.startswith("books:")]
    assert {OWNER[int(key)] for key in books} == {7}
    assert all(score <= 1 for _, score in ranked)


def test_what_cannot_be_measured_is_refused(run: Run, files: tuple[Path, Path]) -> None:
    for arguments in (
        ("eval", *files, "--methods", "bm26"),
        ("eval", *files, "--in", "nothing"),
        ("eval", files[0], files[0]),
        ("query", "--queries", files[0]),
        ("query", "text", "--queries", files[0], "--run", "out"),
        ("query",),
    ):
        assert run(*arguments)[0] == 2, arguments
