#!/usr/bin/env bash
# Debezium's PostgreSQL connector on Kafka Connect standalone.
#   debezium.sh install
#   debezium.sh start [default|tuned|feed]   in the background; waits until it streams
#   debezium.sh run [default|tuned|feed]     in the foreground: this is what the benchmark measures
#   debezium.sh stop | status
# Reads CDC_PG_HOST, CDC_PG_PORT, CDC_PG_USER, CDC_PG_DB, CDC_KAFKA, CDC_SLOT, CDC_PUBLICATION, CDC_PUBLICATION_MODE
# (filtered, or disabled when the publication exists already), CDC_SCHEMA,
# CDC_PREFIX (topics are PREFIX.SCHEMA.TABLE), CDC_MODE (snapshot or stream) and CDC_STATE (a folder for
# offsets; a fresh one by default with `run`, a kept one with `start`).
. "$(dirname "$0")/lib.sh"
VERSION=${DEBEZIUM_VERSION:-3.7.0.Final}
CONNECT=${CONNECT_VERSION:-4.3.1}
HEAP=${DEBEZIUM_HEAP:--Xms256m -Xmx2g}
LIBS=$LAB/connect/libs-$CONNECT
PLUGINS=$LAB/debezium/plugins-$VERSION

install() {
  copy_jars "$LAB_SRC/maven/connect.pom.xml" "$LIBS" "$CONNECT"
  copy_jars "$LAB_SRC/maven/debezium.pom.xml" "$PLUGINS/debezium" "$VERSION"
}

fill() { # TEMPLATE
  local snapshot=initial
  [ "${CDC_MODE:-snapshot}" = stream ] && snapshot=no_data
  sed -e "s|@PG_HOST@|${CDC_PG_HOST:-127.0.0.1}|" -e "s|@PG_PORT@|${CDC_PG_PORT:-5417}|" \
    -e "s|@PG_USER@|${CDC_PG_USER:-postgres}|" -e "s|@PG_DB@|${CDC_PG_DB:-postgres}|" \
    -e "s|@KAFKA@|${CDC_KAFKA:-127.0.0.1:9092}|" -e "s|@SLOT@|${CDC_SLOT:-lab_debezium}|" \
    -e "s|@PUBLICATION@|${CDC_PUBLICATION:-lab_debezium}|" -e "s|@SCHEMA@|${CDC_SCHEMA:-public}|" \
    -e "s|@PUBLICATION_MODE@|${CDC_PUBLICATION_MODE:-filtered}|" \
    -e "s|@PREFIX@|${CDC_PREFIX:-lab}|" -e "s|@SNAPSHOT@|$snapshot|" -e "s|@STATE@|$STATE|" \
    -e "s|@PLUGINS@|$PLUGINS|" -e "s|@REST_PORT@|${DEBEZIUM_REST_PORT:-8083}|" "$1"
}

prepare() { # PROFILE
  install
  mkdir -p "$STATE"
  fill "$LAB_SRC/debezium/worker.properties" >"$STATE/worker.properties"
  fill "$LAB_SRC/debezium/connector.properties" >"$STATE/connector.properties"
  case ${1:-default} in
  default) ;;
  tuned | feed) cat "$LAB_SRC/debezium/$1.properties" >>"$STATE/connector.properties" ;;
  *) die "profile $1? default, tuned or feed" ;;
  esac
  # shellcheck disable=SC2206
  COMMAND=(java $HEAP -XX:+UseG1GC -cp "$LIBS/*" -Dlog4j2.configurationFile="$LAB_SRC/log4j2.properties"
    org.apache.kafka.connect.cli.ConnectStandalone "$STATE/worker.properties" "$STATE/connector.properties")
}

streaming() { grep -q 'Starting streaming\|Processing messages' "$LAB/log/debezium.log"; }

case ${1:-} in
install) install && say "debezium $VERSION on connect $CONNECT" ;;
run)
  STATE=${CDC_STATE:-$(mktemp -d)}
  prepare "${2:-default}"
  exec "${COMMAND[@]}"
  ;;
start)
  if ! pid_of debezium >/dev/null; then
    STATE=${CDC_STATE:-$LAB/debezium/state}
    prepare "${2:-default}"
    run_bg debezium "${COMMAND[@]}"
  fi
  await debezium 120 streaming
  say "debezium $VERSION streams, pid $(pid_of debezium)"
  ;;
stop) end_bg debezium && say "debezium stopped" ;;
status) pid_of debezium >/dev/null && echo "debezium $VERSION running, pid $(pid_of debezium)" || true ;;
*) sed -n '2,9p' "$0" && exit 2 ;;
esac
