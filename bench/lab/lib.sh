# Shared by the lab's scripts; they source it.
# Everything big (downloads, data, logs, results) lives under $LAB, outside the repository.
set -euo pipefail

LAB_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB=${NUBRIDGE_LAB:-${BRIDGE_LAB:-$HOME/.cache/nubridge-lab}}
mkdir -p "$LAB/log" "$LAB/run"

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# copy_jars POM DIR VERSION: the jars of a pom's dependencies into DIR, once per VERSION.
copy_jars() {
  local pom=$1 dir=$2 version=$3
  [ -f "$dir/.done-$version" ] && return 0
  rm -rf "$dir" && mkdir -p "$dir"
  mvn -q -B -U -f "$pom" -Dlab.version="$version" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$dir" >"$LAB/log/mvn.log" 2>&1 ||
    die "mvn failed, see $LAB/log/mvn.log"
  touch "$dir/.done-$version"
}

# A process is remembered as "PID STARTTIME", so that a reused pid is never ended.
started_at() { awk '{sub(/^.*\) /, ""); print $20}' "/proc/$1/stat" 2>/dev/null; }

remember() { echo "$2 $(started_at "$2")" >"$LAB/run/$1.pid"; }

pid_of() { # NAME: prints the pid when that very process still runs
  local pid since
  [ -f "$LAB/run/$1.pid" ] || return 1
  read -r pid since <"$LAB/run/$1.pid" || true
  [ -n "${since:-}" ] && [ "$(started_at "$pid")" = "$since" ] && echo "$pid"
}

# run_bg NAME COMMAND...: detached, its output in log/NAME.log
run_bg() {
  local name=$1
  shift
  setsid nohup "$@" >"$LAB/log/$name.log" 2>&1 </dev/null &
  local pid=$!
  sleep 0.2
  remember "$name" "$pid"
}

# end_bg NAME [SIGNAL]: ends it and waits, at most 30 s before SIGKILL
end_bg() {
  local pid i
  if pid=$(pid_of "$1"); then
    kill "-${2:-TERM}" "$pid" 2>/dev/null || true
    for i in $(seq 300); do pid_of "$1" >/dev/null || break; sleep 0.1; done
    pid_of "$1" >/dev/null && kill -KILL "$pid" 2>/dev/null
  fi
  rm -f "$LAB/run/$1.pid"
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# await NAME SECONDS COMMAND...: until COMMAND succeeds; fails when the process NAME died
await() {
  local name=$1 limit=$2 i
  shift 2
  for i in $(seq $((limit * 5))); do
    "$@" && return 0
    pid_of "$name" >/dev/null || { tail -20 "$LAB/log/$name.log" >&2; die "$name ended while starting"; }
    sleep 0.2
  done
  die "$name not ready after $limit s, see $LAB/log/$name.log"
}
