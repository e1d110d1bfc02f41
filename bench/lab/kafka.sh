#!/usr/bin/env bash
# A real Apache Kafka broker (KRaft), its classes run directly from the jars of Maven Central.
#   kafka.sh install          fetch the jars
#   kafka.sh start [PORT]     one broker on 127.0.0.1:PORT (default 9092)
#   kafka.sh start3 [PORT]    three brokers on PORT, PORT+1, PORT+2 (default 9092)
#   kafka.sh kill-node N      kill -9 broker N of the three
#   kafka.sh start-node N     start broker N of the three again
#   kafka.sh stop | status | wipe
#   kafka.sh tool CLASS ARG...   a tool class, e.g. org.apache.kafka.tools.TopicCommand
. "$(dirname "$0")/lib.sh"
VERSION=${KAFKA_VERSION:-4.4.0}
TOOLS_VERSION=${CONNECT_VERSION:-4.3.1}
HEAP=${KAFKA_HEAP:--Xms1g -Xmx1g}
CLUSTER_ID=nubridgelabAAAAAAAAAAA
LIBS=$LAB/kafka/libs-$VERSION
DATA=$LAB/kafka/data-$VERSION

java_in() { # LIBS ARG...
  local libs=$1
  shift
  java -cp "$libs/*" -Dlog4j2.configurationFile="$LAB_SRC/log4j2.properties" "$@"
}

install() { copy_jars "$LAB_SRC/maven/kafka.pom.xml" "$LIBS" "$VERSION"; }

# write_config NAME ID PORT VOTERS REPLICAS
# All as it comes but for sizes. An index file is sparse and mapped, two for each partition; a kernel with a long read-ahead
# (/sys/block/*/queue/read_ahead_kb) fills it with zeros at the first touch, and the 10 MiB that it has by default are 120 GB
# for 6,000 partitions. 128 KiB index a whole segment in batches of 24 KiB, or 42 MiB of small ones.
write_config() {
  local dir=$DATA/$1
  mkdir -p "$dir"
  cat >"$dir/server.properties" <<CFG
process.roles=broker,controller
node.id=$2
controller.quorum.voters=$4
listeners=PLAINTEXT://127.0.0.1:$3,CONTROLLER://127.0.0.1:$(($3 + 10000))
advertised.listeners=PLAINTEXT://127.0.0.1:$3
controller.listener.names=CONTROLLER
log.dirs=$dir/log
num.partitions=3
default.replication.factor=$5
min.insync.replicas=$(($5 > 1 ? 2 : 1))
offsets.topic.replication.factor=$5
transaction.state.log.replication.factor=$5
transaction.state.log.min.isr=$(($5 > 1 ? 2 : 1))
share.coordinator.state.topic.replication.factor=$5
share.coordinator.state.topic.min.isr=$(($5 > 1 ? 2 : 1))
group.initial.rebalance.delay.ms=0
log.segment.bytes=268435456
log.index.size.max.bytes=131072
log.retention.bytes=2147483648
message.max.bytes=268435456
replica.fetch.max.bytes=268435456
CFG
  [ -f "$dir/log/meta.properties" ] || java_in "$LIBS" kafka.tools.StorageTool format \
    -t "$CLUSTER_ID" -c "$dir/server.properties" >"$LAB/log/format-$1.log" 2>&1 ||
    die "format failed, see $LAB/log/format-$1.log"
}

launch() { # NAME
  pid_of "$1" >/dev/null && return 0
  # shellcheck disable=SC2086
  run_bg "$1" java $HEAP -XX:+UseG1GC -cp "$LIBS/*" \
    -Dlog4j2.configurationFile="$LAB_SRC/log4j2.properties" kafka.Kafka "$DATA/$1/server.properties"
}

started() { grep -q 'Kafka Server started' "$LAB/log/$1.log" && port_open "$2"; }

port_in() { sed -n 's#^advertised.listeners=PLAINTEXT://127.0.0.1:##p' "$DATA/$1/server.properties"; }

case ${1:-} in
install) install && say "kafka $VERSION in $LIBS" ;;
start)
  port=${2:-9092}
  for n in kafka-1 kafka-2 kafka-3; do pid_of $n >/dev/null && die "three-broker mode runs; stop it first"; done
  if ! pid_of kafka >/dev/null; then
    port_open "$port" && die "port $port is taken by another process"
    install
    write_config kafka 1 "$port" "1@127.0.0.1:$((port + 10000))" 1
    launch kafka
  fi
  await kafka 60 started kafka "$(port_in kafka)"
  say "kafka $VERSION ready on 127.0.0.1:$(port_in kafka), pid $(pid_of kafka)"
  ;;
start3)
  port=${2:-9092}
  pid_of kafka >/dev/null && die "the single broker runs; stop it first"
  install
  HEAP=${KAFKA_HEAP:--Xms512m -Xmx512m}
  voters=$(for i in 1 2 3; do printf '%s@127.0.0.1:%s\n' $i $((port + i - 1 + 10000)); done | paste -sd,)
  for i in 1 2 3; do
    pid_of "kafka-$i" >/dev/null && continue
    port_open $((port + i - 1)) && die "port $((port + i - 1)) is taken by another process"
    write_config "kafka-$i" $i $((port + i - 1)) "$voters" 3
    launch "kafka-$i"
  done
  for i in 1 2 3; do await "kafka-$i" 90 started "kafka-$i" "$(port_in "kafka-$i")"; done
  say "kafka $VERSION x3 ready on 127.0.0.1:$port,127.0.0.1:$((port + 1)),127.0.0.1:$((port + 2))"
  ;;
kill-node) end_bg "kafka-$2" KILL && say "broker $2 killed" ;;
start-node)
  HEAP=${KAFKA_HEAP:--Xms512m -Xmx512m}
  launch "kafka-$2"
  await "kafka-$2" 90 started "kafka-$2" "$(port_in "kafka-$2")"
  say "broker $2 ready"
  ;;
stop) # the three at once: the last controllers cannot stop in order without a quorum
  for n in kafka kafka-1 kafka-2 kafka-3; do end_bg $n & done
  wait
  say "kafka stopped"
  ;;
status)
  for n in kafka kafka-1 kafka-2 kafka-3; do
    if pid=$(pid_of $n); then echo "$n $VERSION running, pid $pid, port $(port_in $n)"; fi
  done
  ;;
wipe) "$0" stop && rm -rf "$DATA" ;;
tool)
  shift
  copy_jars "$LAB_SRC/maven/connect.pom.xml" "$LAB/connect/libs-$TOOLS_VERSION" "$TOOLS_VERSION"
  java_in "$LAB/connect/libs-$TOOLS_VERSION" "$@"
  ;;
*) sed -n '2,10p' "$0" && exit 2 ;;
esac
