#!/usr/bin/env bash
# PostgreSQL and Mosquitto of their own in a folder, on loopback:  deploy/up.sh FOLDER [POSTGRES_PORT MQTT_PORT]
# Started again, they go on with what is there. Ctrl-C (or SIGTERM) stops both.
# As root PostgreSQL runs as `nobody`: it refuses to be root. Its password is in FOLDER/pgpass, for you alone to read.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:?usage: deploy/up.sh FOLDER [POSTGRES_PORT MQTT_PORT]}
postgres_port=${2:-5433} mqtt_port=${3:-1883}
fail() { echo "up: $*" >&2; exit 1; }

binaries=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1 || true)
[ -n "$binaries" ] || binaries=$(dirname "$(command -v postgres || fail 'PostgreSQL is missing: apt-get install postgresql')")
mosquitto=$(command -v mosquitto || echo /usr/sbin/mosquitto)
[ -x "$mosquitto" ] || fail 'Mosquitto is missing: apt-get install mosquitto'

mkdir -p "$folder/postgres" "$folder/mosquitto"
folder=$(cd "$folder" && pwd)
as=()
if [ "$(id -u)" = 0 ]; then
  chown nobody "$folder/postgres"
  as=(setpriv --reuid=nobody --clear-groups)
fi
cd /
if [ ! -e "$folder/postgres/PG_VERSION" ]; then
  password=$(head -c 24 /dev/urandom | base64 | tr -d '+/=\n')
  (umask 077 && echo "*:*:*:biotrain:$password" >"$folder/pgpass")
  given=$(mktemp)  # for its owner alone
  echo "$password" >"$given"
  [ "${#as[@]}" = 0 ] || chown nobody "$given"
  "${as[@]}" "$binaries/initdb" -D "$folder/postgres" -U biotrain -A scram-sha-256 --pwfile="$given" -E UTF8 >/dev/null ||
    { rm -f "$given"; fail 'initdb has failed'; }
  rm -f "$given"
fi
export PGPASSFILE=$folder/pgpass
sed -e "s|^listener .*|listener $mqtt_port 127.0.0.1|" -e "s|^persistence_location .*|persistence_location $folder/mosquitto/|" \
  "$here/mosquitto/mosquitto.conf" >"$folder/mosquitto.conf"
echo "user $(id -un)" >>"$folder/mosquitto.conf"

"${as[@]}" "$binaries/postgres" -D "$folder/postgres" -p "$postgres_port" -c listen_addresses=127.0.0.1 \
  -c unix_socket_directories= >>"$folder/postgres.log" 2>&1 & postgres=$!
"$mosquitto" -c "$folder/mosquitto.conf" >>"$folder/mosquitto.log" 2>&1 & broker=$!
stop() { trap - EXIT INT TERM; kill -INT "$postgres" 2>/dev/null || true; kill "$broker" 2>/dev/null || true; wait; }
trap stop EXIT
trap 'stop; exit 0' INT TERM

for _ in $(seq 150); do
  "$binaries/pg_isready" -q -h 127.0.0.1 -p "$postgres_port" && break
  kill -0 "$postgres" 2>/dev/null || fail "PostgreSQL has left; $folder/postgres.log says why"
  sleep 0.2
done
"$binaries/createdb" -h 127.0.0.1 -p "$postgres_port" -U biotrain biotrain 2>/dev/null || true
kill -0 "$broker" 2>/dev/null || fail "Mosquitto has left; $folder/mosquitto.log says why"
echo "ready: PGPASSFILE=$PGPASSFILE biotrain supervisor --broker 127.0.0.1:$mqtt_port --store postgresql://biotrain@127.0.0.1:$postgres_port/biotrain"
wait -n
fail 'one of the two has left; their logs are in the folder'
