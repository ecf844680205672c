"""SQLAlchemy's sessions with the rights of their users."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING
from weakref import WeakSet

from assise.postgres.conninfo import describe
from assise.postgres.queries import QUERIES
from assise.postgres.rights import Login, Rights, refuse_unbound

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.orm import Session

_bound = WeakSet["Engine"]()
"""Engines whose login was found to be bound by rules."""


def set_rights(session: Session, connection: Connection, rights: Rights) -> None:
    """Give a transaction that has just begun the rights that `session.info` names.

    Its keys are `user_id` and `tenant_id`. Every setting is set each time, with values as
    parameters, and ends with the transaction.

    Raises:
        TargetError: rules do not bind the login. UsageError: an id holds a NUL.
    """
    if connection.engine not in _bound:
        others = {"others": [*rights.others]}
        row = connection.exec_driver_sql(QUERIES["unbound"], others).one()
        url = connection.engine.url.set(drivername="postgresql")
        refuse_unbound(Login(*row), describe(url.render_as_string(hide_password=False)))
        _bound.add(connection.engine)
    info = session.info
    user_id, tenant_id = info.get("user_id"), info.get("tenant_id")
    settings = rights._replace(user_id=user_id, tenant_id=tenant_id).settings()
    calls = [f"set_config('{name}', :v{i}, true)" for i, name in enumerate(settings)]
    values = {f"v{i}": value for i, value in enumerate(settings.values())}
    text = import_module("sqlalchemy").text
    connection.execute(text(f"SELECT {', '.join(calls)}"), values)
