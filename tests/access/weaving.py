"""Random documents of several levels, and random rules for their tables.

The rules are drawn over one tree of tables: who owns a row is a column of any level and type, which
may fit, be missing, be too long to be woven, or be of another type.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

from bson import Binary, Int64

TYPES = ("uuid", "text", "int2", "int4", "int8")
NAMES = ("a", "b", "user_id", "_user_id", "tenant", "deleted_at")
STRANGE: tuple[object, ...] = (7, "x", 2**40, {"a": 1}, [1, 2], "\0", 1.5, "é" * 200, "y" * 257)
AT = datetime(2024, 2, 29, 12, tzinfo=UTC)
Tables = dict[str, dict[str, Any]]


class Tree:
    """A manifest with rules and without, and its documents; the same seed gives the same."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._place = self._random.choice(["", "core."])
        self._children: dict[str, list[tuple[str, str]]] = {}
        users = {"id": {"type": "int4", "from": "_id"}}
        self.tables: Tables = {
            "users": {"collection": "users", "primary_key": "id", "columns": users}
        }
        self.rules: Tables = {"users": {"access": {"owner": "id"}}}
        root = self._place + "orders"
        columns = {"id": {"type": "int4", "from": "_id"}, **self._draw_columns()}
        columns["ref"] = self._refer("users", "ref")
        self.tables[root] = {"collection": "orders", "primary_key": "id", "columns": columns}
        if self._chance(0.3):
            columns["twice"] = {"type": "int8", "generated": "id::int8 * 2"}
        soft = self._soft(root)
        if not soft:
            columns["code"] = {"type": "int4", "unique": True, "duplicates": self._amend()}
        self.rules[root] = {"access": self._own(root)} | soft
        self._grow(root, ["order_id"])
        notes = {
            "id": {"type": "int4", "from": "_id"},
            "order": self._refer(root, "order"),
        }
        self.tables["notes"] = {"collection": "notes", "primary_key": "id", "columns": notes}
        self.rules["notes"] = {"access": {"through": root}}
        self.documents: dict[str, list[dict[str, Any]]] = {
            "users": [{"_id": n} for n in range(3)],
            "orders": [{"_id": n, **self._draw(root)} for n in range(self._size())],
            "notes": [{"_id": n, "order": self._random.randrange(60)} for n in range(20)],
        }

    def write(self, *, is_ruled: bool) -> str:
        """The manifest."""
        head: dict[str, object] = {"assise": 1, "name": "app"}
        tables = self.tables
        if is_ruled:
            head["roles"] = {"prefix": "apptest"}
            tables = {name: {**self.rules.get(name, {}), **tables[name]} for name in tables}
        return json.dumps({**head, "tables": tables})

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _size(self) -> int:
        return self._random.choice([5, 40, 100])

    def _amend(self) -> str:
        return self._random.choice(["null", "keep", "reject"])

    def _refer(self, table: str, path: str) -> dict[str, str]:
        return {"type": "int4", "from": path, "references": table, "orphans": self._amend()}

    def _draw_columns(self) -> dict[str, dict[str, Any]]:
        names = self._random.sample(NAMES, self._random.randint(1, 4))
        kinds = {name: self._random.choice(TYPES) for name in names}
        kinds |= {name: "timestamptz" for name in names if name == "deleted_at"}
        return {name: {"type": kind} for name, kind in kinds.items()}

    def _own(self, table: str) -> object:
        columns = self.tables[table]["columns"]
        ids = [name for name, column in columns.items() if column["type"] in TYPES] or ["id"]
        owners = [{self._random.choice(["owner", "tenant"]): name} for name in ids]
        found = self._random.sample(owners, min(len(owners), self._random.randint(1, 2)))
        return found if len(found) > 1 else found[0]

    def _soft(self, table: str) -> dict[str, object]:
        columns = self.tables[table]["columns"]
        if "deleted_at" in columns or self._chance(0.6):
            return {}
        if self._chance(0.5):
            return {"soft_delete": True}
        columns["gone_at"] = {"type": "timestamptz", "from": "gone"}
        return {"soft_delete": {"column": "gone_at", "from": "gone"}}

    def _grow(self, parent: str, key: list[str]) -> None:
        for _ in range(self._random.choice([0, 1, 2]) if len(key) > 1 else 2):
            number = len(self.tables)
            table, path = f"{self._random.choice(['', self._place])}t{number}", f"k{number}"
            columns = self._draw_columns()
            if self._chance(0.3):
                columns["uref"] = self._refer("users", "uref")
            own = [*key, f"p{len(key)}"]
            self._children.setdefault(parent, []).append((table, path))
            given = {"parent": parent, "from": f"{path}.*", "primary_key": own, "columns": columns}
            self.tables[table] = given
            ways: list[object] = [{"through": parent}] * 3 if parent in self.rules else []
            ways += [{"through": "users"}] if "uref" in columns else []
            owned = self._own(table) if {*columns} - {"deleted_at"} else None
            ways += [owned] if isinstance(owned, dict) else []
            if ways:
                self.rules[table] = {"access": self._random.choice(ways)} | self._soft(table)
            if len(own) < 5:
                self._grow(table, own)

    def _draw(self, table: str) -> dict[str, Any]:
        """A document; its fields come in any order."""
        found: dict[str, Any] = {}
        for name, column in self.tables[table]["columns"].items():
            if column.get("from") != "_id" and "generated" not in column and self._chance(0.85):
                found[column.get("from", name)] = self._draw_value(column["type"])
        for child, path in self._children.get(table, ()):
            count = self._random.choice([0, 1, 1, 2, 4])
            rows = [self._draw(child) if self._chance(0.9) else "none" for _ in range(count)]
            found[path] = rows if self._chance(0.9) else self._random.choice([None, 5, {}])
        fields = [*found.items()]
        self._random.shuffle(fields)
        return dict(fields)

    def _draw_value(self, kind: str) -> object:
        if self._chance(0.2):
            return self._random.choice([None, *STRANGE])
        match kind:
            case "uuid":
                return Binary(UUID(int=self._random.randrange(4)).bytes, 4)
            case "text":
                return self._random.choice(["a", "", "t" * 255, "t" * 256, "é" * 128, "é" * 129])
            case "timestamptz":
                return self._random.choice([None, AT, AT])
        return self._random.choice([0, 1, 2, -1, Int64(5), 30000, 3.0, "4"])
