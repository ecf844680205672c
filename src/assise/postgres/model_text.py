"""The text of models, as sqlacodegen writes it, with what it leaves out of indexes and unique keys."""

from __future__ import annotations

from sqlacodegen.generators import DeclarativeGenerator
from sqlacodegen.utils import render_callable
from sqlalchemy import Constraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.schema import Column

NULLS = "postgresql_nulls_not_distinct"


class ModelText(DeclarativeGenerator):
    """Classes whose `create_all` makes the same indexes and unique keys.

    sqlacodegen 4.0 writes of an index its plain columns only, so that one on an expression has none,
    and of a unique key not that NULL equals NULL.
    """

    def render_index(self, index: Index) -> str:
        """Return an index with its expressions and the direction of each."""
        written = [
            repr(each.name) if isinstance(each, Column) else self._render_text(each)
            for each in index.expressions
        ]
        settings: dict[str, object] = {
            key: repr(value) if isinstance(value, str) else value
            for key, value in sorted(index.kwargs.items())
            if value not in ([], {}, False)
        }
        if index.unique:
            settings["unique"] = True
        return str(render_callable("Index", repr(index.name), *written, kwargs=settings))

    def render_constraint(self, constraint: Constraint | ForeignKey) -> str:
        """Return a constraint; a unique key says where NULL equals NULL."""
        rendered = str(super().render_constraint(constraint))
        if isinstance(constraint, UniqueConstraint) and constraint.dialect_kwargs.get(NULLS):
            return f"{rendered[:-1]}, {NULLS}=True)"
        return rendered

    def _render_text(self, expression: ColumnElement[object] | str) -> str:
        if not isinstance(expression, str):
            compiled = expression.compile(
                self.bind, compile_kwargs={"include_table": False, "literal_binds": True}
            )
            expression = str(compiled)
        self.add_literal_import("sqlalchemy", "text")
        return f"text({expression!r})"
