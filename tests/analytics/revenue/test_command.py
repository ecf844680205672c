"""`assise analytics revenue`: what it prints, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.scenes.databases import Template

from assise.cli.run import run
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
Call = Callable[..., tuple[int, str, str]]
YEAR = ["--from", "2026-01-01", "--to", "2026-02-28"]


@pytest.fixture(scope="module")
def template(selling: Template) -> Template:
    """What tests get copies of."""
    return selling


@pytest.fixture
def call(service: Project, database: str, query: Query, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs the command: its code, what it prints and what it says. Rates go on up to today."""
    query("INSERT INTO rates (id, day, code, rate) SELECT 100 + n, '2026-04-30'::date + 20 * n, 'usd', 0.8"
          " FROM generate_series(1, 400) AS n")  # fmt: skip

    def run_it(*words: str) -> tuple[int, str, str]:
        manifest = ["--manifest", str(service.path), "--to", database]
        code = run(["analytics", "revenue", *words, *manifest])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_it


def test_json_is_that_of_the_issue(call: Call) -> None:
    code, out, err = call("--by", "month", "--json", *YEAR)
    assert code == 0
    assert json.loads(out) == {
        "currency": "EUR",
        "rows": [
            {"month": "2026-01", "mrr_start": "0.00", "new": "100.00", "reactivation": "0.00",
             "expansion": "0.00", "contraction": "0.00", "churn": "0.00", "fx": "0.00",
             "mrr_end": "100.00"},
            {"month": "2026-02", "mrr_start": "100.00", "new": "9.00", "reactivation": "0.00",
             "expansion": "0.00", "contraction": "0.00", "churn": "0.00", "fx": "0.00",
             "mrr_end": "109.00"},
        ],
    }  # fmt: skip
    assert "1 row left out, as they have ended, and nothing says when: 6" in err


def test_ratios_csv_and_the_table(call: Call) -> None:
    _, out, _ = call("--json", "--ratios", *YEAR)
    row = json.loads(out)["rows"][1]
    assert row["customers"] == {"start": 3, "new": 1, "reactivated": 0, "churned": 0, "end": 4}
    assert (row["ratios"]["arr"], row["ratios"]["arpa"]) == ("1308.00", "27.25")
    assert (row["ratios"]["grr"], row["ratios"]["ltv"]) == ("1.0000", None)
    _, out, _ = call("--csv", *YEAR)
    assert out.splitlines()[:2] == [
        "EUR month,mrr_start,new,reactivation,expansion,contraction,churn,fx,mrr_end",
        "2026-01,0.00,100.00,0.00,0.00,0.00,0.00,0.00,100.00",
    ]
    _, out, _ = call(*YEAR)
    assert out.splitlines()[2].split()[:3] == ["2026-02", "100.00", "9.00"]


def test_objects_of_stripe_come_from_a_file(call: Call, tmp_path: Path) -> None:
    line = {"id": "il_1", "amount": 1200, "currency": "usd", "type": "subscription",
            "period": {"start": 1_767_225_600, "end": 1_798_761_600},
            "price": {"type": "recurring", "recurring": {"interval": "year"}}}  # fmt: skip
    invoice = {"object": "invoice", "status": "paid", "customer": "c", "subscription": "s"}
    file = tmp_path / "stripe.jsonl"
    file.write_text(json.dumps({**invoice, "lines": {"data": [line]}}) + "\n\n[]\n")
    _, out, _ = call("--json", "--stripe", str(file), *YEAR)
    assert [row["mrr_end"] for row in json.loads(out)["rows"]] == ["0.90", "0.90"]
    for text, said in (
        ("{", "is no JSON"),
        ("[1]", "is no object"),
        ('{"id": 1}', "no field object"),
    ):
        file.write_text(text)
        code, out, err = call("--json", "--stripe", str(file))
        assert (code, out) == (1, "")
        assert said in err
    code, _, err = call("--stripe", str(tmp_path / "absent"))
    assert (code, "cannot be read" in err) == (1, True)


def test_what_cannot_be_used_is_told(call: Call, query: Query) -> None:
    query("UPDATE subscriptions SET interval = 'fortnight' WHERE id = 1")
    code, out, err = call("--json")
    assert (code, out) == (1, "")
    assert "1: the interval fortnight is unknown" in err
    assert call("--from", "january")[0] == 2
