"""The example Devora: the bytes that its generator writes, and its migration.

SQL and the raw documents give the same answers to questions.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from tests.dumps import confirm
from tests.examples.generated import FOLDER, generate
from tests.examples.values import (
    Plain,
    Raw,
    as_amount,
    as_document,
    as_kind,
    as_list,
    as_moment,
    read_documents,
)
from tests.oracle.walk import Value

from assise.project import Project

COUNTS = {
    "users": 150,
    "projects": 342,
    "conversations": 89,
    "invoices": 880,
    "templates": 60,
    "deployments": 498,
}
OPTIONAL = {"paid_at", "finished_at", "project_id", "template_id", "deleted_at", "error"} | {
    "exchange_rate",
    "refunded_amount",
    "refunded_at",
}
"""Fields that a document may go without: it was not paid, did not end, is about nothing."""
HABITS = {"whole number among doubles", "map keyed by date", "12 MB document"}
KINDS = HABITS | {
    "e-mail in another case",
    "mixed kinds",
    "date as text",
    "id as text",
    "Decimal128",
    "null",
    "missing",
    "NUL",
    "emoji",
    "invalid UTF-8",
}
FOREIGN_KEYS_WITHOUT_INDEX = """SELECT conname::text FROM pg_constraint AS c
    WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND NOT EXISTS (
        SELECT FROM pg_index WHERE indrelid = conrelid AND indpred IS NULL
        AND (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey
    )"""
DATE = re.compile(r"\d{4}-\d\d-\d\d")
Documents = dict[str, list[dict[str, object]]]
Rows = list[tuple[object, ...]]


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("devora"), "--users", "150", "--seed", "1")


@pytest.fixture(scope="module")
def raw(dump: Path) -> Raw:
    """The documents of each collection, from their bytes."""
    return {
        name: list(read_documents((dump / "devora" / f"{name}.bson").read_bytes()))
        for name in COUNTS
    }


@pytest.fixture(scope="module")
def documents(raw: Raw) -> Documents:
    """The documents as values of Python: numbers as decimals, an ObjectId as its digits."""
    return {name: list(map(as_document, found)) for name, found in raw.items()}


# Dirt, as the bytes show it


def find_values(value: Value, path: str = "") -> Iterator[tuple[str, Value]]:
    """Every value with its path; elements of an array and values of a map are one field."""
    keys = [key.decode() for key, _ in value.fields]
    is_map = value.kind == "array" or all(map(DATE.fullmatch, keys))
    for key, each in value.fields:
        name = f"{path}.{'*' if is_map else key.decode()}"
        yield name, each
        yield from find_values(each, name)


def name_kind(value: Value) -> str:
    return "number" if value.kind in {"int32", "double"} else value.kind


def find_usual(found: list[Value]) -> dict[str, str]:
    """The kind that most values of a field have."""
    kinds: dict[str, Counter[str]] = {}
    for document in found:
        for path, value in find_values(document):
            kinds.setdefault(path, Counter())[name_kind(value)] += 1
    return {path: counts.most_common(1)[0][0] for path, counts in kinds.items()}


def name_dirt(value: Value, usual: str) -> str | None:
    """What is wrong with a value where another kind is usual, or with the text of a string."""
    if (kind := name_kind(value)) != usual:
        known = {
            ("objectid", "string"): "id as text",
            ("date", "string"): "date as text",
            ("number", "decimal"): "Decimal128",
        }
        return "null" if kind == "null" else known.get((usual, kind), "mixed kinds")
    if kind != "string":
        return None
    try:
        text = value.content.decode()
    except UnicodeDecodeError:
        return "invalid UTF-8"
    if "\0" in text:
        return "NUL"
    return "emoji" if max(text, default="") >= "\U0001f300" else None


def find_habits(document: Value, mixed: set[str]) -> Iterator[str]:
    for key, value in document.fields:
        if value.kind == "int32" and f".{key.decode()}" in mixed:
            yield "whole number among doubles"
        if value.kind == "document" and all(
            DATE.fullmatch(name.decode()) for name, _ in value.fields
        ):
            yield "map keyed by date"
    if document.end > 12_000_000:
        yield "12 MB document"


def find_fields(document: Value) -> dict[str, Value]:
    return {key.decode(): value for key, value in document.fields}


def find_dirt(found: list[Value]) -> list[list[str]]:
    """The dirt in each document of a collection."""
    usual, addresses = find_usual(found), set[str]()
    fields = [find_fields(document) for document in found]
    counts = Counter(name for each in fields for name in each)
    common = {name for name, count in counts.items() if 2 * count > len(found)}
    always = common - OPTIONAL
    doubles = {
        path
        for document in found
        for path, value in find_values(document)
        if value.kind == "double"
    }
    dirt: list[list[str]] = []
    for document, own in zip(found, fields, strict=True):
        named = [name_dirt(value, usual[path]) for path, value in find_values(document)]
        kinds = [kind for kind in named if kind]
        kinds += ["missing" for _ in always - own.keys()]
        if "email" in own:
            address = own["email"].content.decode().lower()
            kinds += ["e-mail in another case"] if address in addresses else []
            addresses.add(address)
        dirt.append([*kinds, *find_habits(document, doubles)])
    return dirt


def test_every_kind_of_dirt_is_there_and_stated(dump: Path, raw: Raw) -> None:
    stated = json.loads((dump / "dirt.json").read_text())
    everywhere: Counter[str] = Counter()
    for name, found in raw.items():
        dirt = find_dirt(found)
        counts = Counter(kind for kinds in dirt for kind in kinds)
        assert stated[name] == {"documents": len(found), "dirt": counts}
        assert list(stated[name]["dirt"]) == sorted(counts)
        dirty = sum(bool({*kinds} - HABITS) for kinds in dirt)
        assert 0.05 <= dirty / len(found) <= 0.07, (name, dirty)
        everywhere.update(counts)
    assert everywhere.keys() == KINDS
    assert everywhere.pop("12 MB document") == 1
    assert min(everywhere.values()) >= 5, everywhere


def test_the_figures_are_those_of_devora(documents: Documents) -> None:
    assert {name: len(found) for name, found in documents.items()} == COUNTS
    messages = [as_list(each["messages"]) for each in documents["conversations"]]
    files = [as_list(each["files"]) for each in documents["projects"]]
    assert sum(map(len, messages)) == 1247
    assert set(map(len, files)) == {*range(3, 11)}
    assert {str(each["locale"]) for each in documents["projects"]} == {"fr", "en"}


def test_moments_are_in_order(documents: Documents) -> None:
    for name, found in documents.items():
        for each in found:
            later = [
                as_moment(each[key])
                for key in ("updated_at", "paid_at", "finished_at", "deleted_at", "last_login")
                if key in each
            ]
            files = as_list(each.get("files", []))
            later += [as_moment(file["updated_at"]) for file in files]
            assert all(as_moment(each["created_at"]) <= moment for moment in later), (
                name,
                each["_id"],
            )
    for each in documents["conversations"]:
        moments = [
            as_moment(message["created_at"]).replace(microsecond=0)
            for message in as_list(each["messages"])
        ]
        assert all(
            one <= other
            for one, other in pairwise(
                [as_moment(each["created_at"]).replace(microsecond=0), *moments]
            )
        )


def test_references_lead_to_documents_of_the_same_user(documents: Documents) -> None:
    everything = [each for found in documents.values() for each in found]
    owners = {each["_id"]: each.get("user_id") for each in everything}
    assert len(owners) == sum(COUNTS.values())
    for each in everything:
        assert each.get("user_id", each["_id"]) in owners
        assert "project_id" not in each or owners[each["project_id"]] == each["user_id"]
    used = Counter(each["template_id"] for each in documents["projects"] if "template_id" in each)
    assert {
        each["_id"]: each["usage_count"] for each in documents["templates"] if each["usage_count"]
    } == used


def test_events_tell_who_came_and_made_what(dump: Path, documents: Documents) -> None:
    lines = (dump / "events.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    assert len({each["uuid"] for each in events}) == len(events)
    counts = Counter(each["event"] for each in events)
    assert counts == {"signup": 150, "project_created": 342, "deployed": 668}
    born = {to_key(each["_id"]): as_moment(each["created_at"]) for each in documents["users"]}
    made = {to_key(each["_id"]): to_key(each["user_id"]) for each in documents["projects"]}
    for each in events:
        at = datetime.fromisoformat(each["timestamp"])
        assert at >= born[each["distinct_id"]]
        assert each["event"] != "signup" or at == born[each["distinct_id"]]
        key = each["properties"].get("project_id")
        assert key is None or made[key] == each["distinct_id"]


def to_key(digits: object) -> str:
    """The key in the new tables of an ObjectId."""
    text = str(digits)
    parts = text[:8], text[8:12], f"8{text[12:15]}", f"8{text[15:18]}", f"{text[18:]}000000"
    return "-".join(parts)


def test_plans_change_and_some_pay_in_dollars_and_get_money_back(documents: Documents) -> None:
    invoices = documents["invoices"]
    plans: dict[object, set[tuple[object, object]]] = {}
    for each in invoices:
        plan = each.get("currency"), each["plan_amount"]
        plans.setdefault(each["user_id"], set()).add(plan)
        refunded = as_amount(each.get("refunded_amount", Decimal(0)))
        assert refunded <= as_amount(each["amount"])
        assert ("exchange_rate" in each) <= (each.get("currency") in {"usd", None})
    known = [{plan for plan in found if plan[0]} for found in plans.values()]
    assert sum(len(found) > 1 for found in known) >= 10
    assert {each.get("currency") for each in invoices} == {"eur", "usd", None}
    assert sum("refunded_at" in each for each in invoices) >= 10


def test_amounts_are_the_sums_of_their_lines(documents: Documents) -> None:
    for each in documents["invoices"]:
        lines = [
            as_kind(line["quantity"], Decimal) * as_kind(line["unit_price"], Decimal)
            for line in as_list(each["lines"])
        ]
        assert as_amount(each["amount"]) == sum(lines)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    seeds = {"one": "7", "same": "7", "other": "8"}
    one, same, other = (
        generate(tmp_path / name, "--users", "12", "--seed", seed) for name, seed in seeds.items()
    )
    names = sorted(path.relative_to(one) for path in one.rglob("*.*"))
    assert len(names) == 2 * len(COUNTS) + 2
    for name in names:
        content = (one / name).read_bytes()
        assert content == (same / name).read_bytes()
        if name.suffix == ".bson":
            assert content != (other / name).read_bytes()


def test_metadata_is_that_of_mongodump(dump: Path) -> None:
    unique = {}
    for name in COUNTS:
        content = json.loads((dump / "devora" / f"{name}.metadata.json").read_text())
        assert content["collectionName"] == name
        assert content["type"] == "collection"
        assert re.fullmatch("[0-9a-f]{32}", content["uuid"])
        assert content["indexes"][0] == {
            "v": {"$numberInt": "2"},
            "key": {"_id": {"$numberInt": "1"}},
            "name": "_id_",
        }
        for index in content["indexes"]:
            if index.get("unique"):
                unique[index["name"]] = name
    assert unique == {"email_1": "users", "number_1": "invoices"}


PARTS = {"analytics.py", "app.py", "cache.py", "meaning.py", "mongo.py", "search.py"}
"""What the application is, which needs Assise."""


def test_the_generator_does_without_assise() -> None:
    sources = [path.read_text() for path in FOLDER.glob("*.py") if path.name not in PARTS]
    assert not re.findall(r"^\s*(?:import|from) assise", "\n".join(sources), re.MULTILINE)


# Questions: SQL, and the same from the raw documents

AMOUNT = """coalesce({0}, (_extra -> '{0}' ->> '$numberDecimal')::numeric,
    replace(split_part(_extra ->> '{0}', ' ', 1), ',', '.')::numeric)"""
CREATED = "coalesce({0}.created_at, ({0}._extra ->> 'created_at')::timestamptz)"


def add_up(parts: Iterator[tuple[object, Decimal]]) -> Rows:
    """The sum of each group, in the order of the groups."""
    sums: dict[object, Decimal] = {}
    for group, amount in parts:
        sums[group] = sums.get(group, Decimal(0)) + amount
    return sorted(sums.items(), key=lambda entry: str(entry[0]))


def count_up(groups: Iterator[object]) -> Rows:
    return add_up((group, Decimal(1)) for group in groups)


def find_last_failures(documents: Documents) -> Rows:
    last: dict[object, Plain] = {}
    for each in documents["deployments"]:
        before = last.get(each["project_id"])
        if before is None or as_moment(before["created_at"]) < as_moment(each["created_at"]):
            last[each["project_id"]] = each
    return sorted(
        (project, as_kind(each["error"], dict)["code"])
        for project, each in last.items()
        if each["status"] == "failed"
    )


def average_messages(documents: Documents) -> Rows:
    lengths = [len(as_list(each["messages"])) for each in documents["conversations"]]
    average = Decimal(sum(lengths)) / len(lengths)
    return [(average.quantize(Decimal("0.01"), ROUND_HALF_UP),)]


def find_largest_file(documents: Documents) -> Rows:
    files = [file for project in documents["projects"] for file in as_list(project["files"])]
    largest = max(files, key=lambda file: len(str(file["content"])))
    return [(largest["path"], len(str(largest["content"])))]


def count_projects(documents: Documents) -> Rows:
    emails = {each["_id"]: each["email"] for each in documents["users"]}
    return count_up(emails[each["user_id"]] for each in documents["projects"])


def sum_months(documents: Documents) -> Rows:
    paid = [each for each in documents["invoices"] if each["status"] == "paid"]
    return add_up((f"{as_moment(x['created_at']):%Y-%m}", as_amount(x["amount"])) for x in paid)


def sum_amounts(documents: Documents) -> Rows:
    amounts = [as_amount(each["amount"]) for each in documents["invoices"]]
    return [(sum(amounts), True)]


def sum_prices(documents: Documents) -> Rows:
    templates = documents["templates"]
    return add_up((each["locale"], as_amount(each["price"])) for each in templates)


def count_plans(documents: Documents) -> Rows:
    users = [each for each in documents["users"] if each["subscription_status"] == "active"]
    return count_up(each["plan"] for each in users)


def count_languages(documents: Documents) -> Rows:
    files = [file for each in documents["projects"] for file in as_list(each["files"])]
    return count_up(file["language"] for file in files)


def sum_tokens_of_models(documents: Documents) -> Rows:
    messages = [x for each in documents["conversations"] for x in as_list(each["messages"])]
    answers = [x for x in messages if x["role"] == "assistant"]
    return add_up((x["model"], as_amount(x["tokens"])) for x in answers)


def sum_tokens_of_days(documents: Documents) -> Rows:
    usages = [as_kind(each["usage"], dict) for each in documents["users"]]
    days = [item for usage in usages for item in usage.items()]
    return add_up((day, as_amount(used["tokens"])) for day, used in days)


def count_spellings(documents: Documents) -> Rows:
    addresses = count_up(str(each["email"]).lower() for each in documents["users"])
    return [(address, count) for address, count in addresses if count == 2]


QUESTIONS: dict[str, tuple[str, Callable[[Documents], Rows]]] = {
    "revenue per month": (
        f"""SELECT to_char({CREATED.format("invoices")} AT TIME ZONE 'UTC', 'YYYY-MM'),
                sum({AMOUNT.format("amount")})
            FROM invoices WHERE status = 'paid' GROUP BY 1 ORDER BY 1""",
        sum_months,
    ),
    "the sum of all amounts": (
        f"""SELECT sum({AMOUNT.format("amount")}), sum({AMOUNT.format("amount")}) > sum(amount)
            FROM invoices""",
        sum_amounts,
    ),
    "the prices of templates": (
        f"SELECT locale, sum({AMOUNT.format('price')}) FROM templates GROUP BY 1 ORDER BY 1",
        sum_prices,
    ),
    "projects per user": (
        """SELECT email, count(*) FROM users JOIN projects ON users.id
                = coalesce(user_id, objectid_to_uuid(projects._extra ->> 'user_id'))
            GROUP BY 1 ORDER BY email COLLATE "C" """,
        count_projects,
    ),
    "average messages per conversation": (
        """SELECT round(avg(messages), 2) FROM
            (SELECT count(role) AS messages
                FROM conversations LEFT JOIN conversation_messages ON id = conversation_id
                GROUP BY id) AS counted""",
        average_messages,
    ),
    "active subscriptions per plan": (
        """SELECT plan, count(*) FROM users
            WHERE subscription_status = 'active' GROUP BY 1 ORDER BY 1""",
        count_plans,
    ),
    "files per language": (
        "SELECT language, count(*) FROM project_files GROUP BY 1 ORDER BY 1",
        count_languages,
    ),
    "tokens per model": (
        """SELECT model, sum(tokens) FROM conversation_messages
            WHERE role = 'assistant' GROUP BY 1 ORDER BY 1""",
        sum_tokens_of_models,
    ),
    "tokens per day": (
        """SELECT day, sum((used ->> 'tokens')::int)
            FROM users, jsonb_each(usage) AS days (day, used)
            GROUP BY 1 ORDER BY 1""",
        sum_tokens_of_days,
    ),
    "latest deployments that failed": (
        """SELECT project, error_code FROM
            (SELECT DISTINCT ON (1)
                    coalesce(uuid_to_objectid(project_id), _extra ->> 'project_id')
                        AS project, status, error_code
                FROM deployments ORDER BY 1, created_at DESC) AS latest
            WHERE status = 'failed' ORDER BY 1""",
        find_last_failures,
    ),
    "two spellings of an e-mail": (
        """SELECT lower(email), count(*) FROM users
            GROUP BY 1 HAVING count(*) > 1 ORDER BY lower(email) COLLATE "C" """,
        count_spellings,
    ),
    "the largest file": (
        """SELECT path, length(content) FROM project_files
            ORDER BY size_bytes DESC LIMIT 1""",
        find_largest_file,
    ),
}


def test_everything_arrives_and_answers(
    dump: Path, documents: Documents, project: Project, query: Callable[..., Rows]
) -> None:
    report = project.migrate(dump / "devora", confirm=confirm)
    assert {each.name: each.documents for each in report.collections} == COUNTS
    for each in report.collections:
        assert (each.loaded, each.rejected) == (each.documents, 0), each.name
        assert each.verified, each.name
        assert each.verified.equal == each.documents, each.name
    assert report.exit_code == 0
    for name, (statement, answer) in QUESTIONS.items():
        rows = query(statement)
        assert rows, name
        assert rows == answer(documents), name


def test_the_manifest_that_devora_keeps(dump: Path, project: Project) -> None:
    text = (FOLDER / "assise.yaml").read_text(encoding="utf-8")
    project.path.write_text(text, encoding="utf-8")
    shutil.copytree(FOLDER / "sql", project.path.parent / "sql")
    report = project.migrate(dump / "devora", confirm=confirm)
    assert (report.exit_code, report.findings) == (0, [])
    with project.connect(project.manifest) as connection:
        counts = connection.execute(
            "SELECT contype::text, count(*) FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace AND convalidated"
            " AND contype IN ('c', 'f', 'u') AND conname !~ '_bounds$'"
            " AND conrelid::regclass::text !~ '^_meaning_|^audit_' GROUP BY 1 ORDER BY 1"
        )
        indexes = connection.scalar(
            "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'"
            " AND indexname !~ '_(pkey|key)$'"
        )
        without = connection.execute(FOREIGN_KEYS_WITHOUT_INDEX)
    assert counts == [("c", 27), ("f", 10), ("u", 6)]
    assert int(str(indexes)) >= 30
    assert without == []
