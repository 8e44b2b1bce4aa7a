#!/usr/bin/env bash
# Gives a command a PostGIS server of its own, and takes it away afterwards.
#
#   tests/with-postgres.sh cargo test --features torch
#   tests/with-postgres.sh psql            (a shell with DATABASE_URL set works too: tests/with-postgres.sh bash)
#
# The server lives in a temporary folder and listens on a socket there, on no port of the machine: it meets no other
# server and two of these can run at once. DATABASE_URL is set for the command; so are PGHOST, PGUSER and PGDATABASE.
# PostGIS is in the template database, so that a test that makes a database of its own gets it for free. Nothing is
# synced to disk: this server must never hold anything that matters.
#
# The command's exit status is the script's. The server is stopped and its folder removed by a guardian process, which
# also notices when this script is killed with -9.
set -euo pipefail

say() { printf 'with-postgres: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
[ $# -gt 0 ] || die "say which command to run, for example: tests/with-postgres.sh cargo test"

# The newest server on the machine: Debian keeps it out of PATH.
find_server() {
  local bin
  bin="$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)"
  if [ -n "$bin" ] && [ -x "$bin/initdb" ]; then printf '%s' "$bin"
  elif command -v initdb >/dev/null; then dirname "$(command -v initdb)"
  else die "PostgreSQL is missing (initdb): run 'make setup'"; fi
}
bin="$(find_server)"

# PostgreSQL refuses to run as root; Debian's packages make the user postgres.
as_server=()
if [ "$(id -u)" = 0 ]; then
  id postgres >/dev/null 2>&1 || die "PostgreSQL refuses root and there is no user 'postgres': run 'make setup'"
  command -v setpriv >/dev/null || die "PostgreSQL refuses root and setpriv (util-linux) is missing"
  as_server=(setpriv --reuid postgres --regid postgres --clear-groups)
fi

# A socket's path stays under 107 bytes, so not under a deep TMPDIR; and user postgres must be able to reach it.
home="$(mktemp -d /tmp/polder-pg.XXXXXX)"
if [ ${#as_server[@]} -gt 0 ]; then chown postgres:postgres "$home"; fi
log="$home/server.log"

# The guardian reads a pipe that this script alone holds open: however the script ends, the read returns.
mkfifo "$home/alive"
# shellcheck disable=SC2016  # expanded by the guardian
setsid bash -c '
  home="$1"; bin="$2"; shift 2
  read -r _ <"$home/alive" || true
  cd /
  if [ -f "$home/data/postmaster.pid" ]; then
    "$@" "$bin/pg_ctl" -D "$home/data" -m immediate -w -t 20 stop >/dev/null 2>&1 \
      || kill -9 "$(head -n 1 "$home/data/postmaster.pid")" 2>/dev/null
  fi
  rm -rf "$home"
' guardian "$home" "$bin" "${as_server[@]}" </dev/null >/dev/null 2>&1 &
guardian=$!
exec 9>"$home/alive"

# shellcheck disable=SC2329  # called by the trap
finish() { exec 9>&-; wait "$guardian" 2>/dev/null || true; }
trap finish EXIT

start_server() {
  (
    cd /
    "${as_server[@]}" "$bin/initdb" -D "$home/data" -U polder -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
      && "${as_server[@]}" "$bin/pg_ctl" -D "$home/data" -w -t 120 -l "$home/postgres.log" start -o "\
        -c listen_addresses= -c unix_socket_directories=$home -c unix_socket_permissions=0700 \
        -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c jit=off \
        -c shared_buffers=128MB -c max_connections=200 -c max_wal_size=2GB"
  ) >"$log" 2>&1 9>&-
}
start_server || { cat "$log" "$home/postgres.log" >&2 2>/dev/null; die "the server did not start (its log is above)"; }

export PGHOST="$home" PGUSER=polder PGDATABASE=polder
{
  "$bin/psql" -X -q -v ON_ERROR_STOP=1 -d template1 -c 'create extension postgis'
  "$bin/psql" -X -q -v ON_ERROR_STOP=1 -d template1 -c 'create database polder'
} >>"$log" 2>&1 9>&- || { cat "$log" >&2; die "cannot create PostGIS in the server (its words are above)"; }
export DATABASE_URL="postgres:///polder?host=$home&user=polder"

# In the foreground: a command in the background of a script would be born deaf to Ctrl-C.
status=0
"$@" 9>&- || status=$?
exit "$status"
