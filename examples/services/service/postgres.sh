#!/bin/sh
# Makes a database on the disk of the build and runs PostgreSQL on it: without a password, as nobody else can reach it, and
# without waiting for any disk, as nothing of it outlives the build.
set -eu
bin=$(echo /usr/lib/postgresql/*/bin)
data=/var/lib/postgresql/build
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }

as_postgres "$bin/initdb" --pgdata="$data" --username="$POSTGRES_USER" --auth=trust --no-sync --encoding=UTF8 --locale=C.UTF-8
echo "CREATE DATABASE $POSTGRES_DB" | as_postgres "$bin/postgres" --single -D "$data" postgres
exec setpriv --reuid=postgres --regid=postgres --init-groups "$bin/postgres" -D "$data" \
  -c listen_addresses='*' -c unix_socket_directories='' -c fsync=off -c full_page_writes=off
