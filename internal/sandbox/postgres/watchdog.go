package postgres

import (
	"fmt"
	"io"
	"os"
	"os/exec"
)

// watchdogScript reads from a pipe whose other end only the parent holds. The kernel closes that end when the parent ends,
// however it ends; the watchdog then stops the server that runs on the data folder, if it still is that server, and removes
// a temporary folder. A line saying "done" sends the watchdog home.
//
// $1 is the base folder to remove or empty, $2 the data folder.
const watchdogScript = `
trap '' INT TERM HUP QUIT
while read -r line; do [ "$line" = done ] && exit 0; done
n=0
while [ ! -f "$2/postmaster.pid" ] && [ $n -lt 10 ]; do sleep 0.1; n=$((n + 1)); done
pid=
[ -f "$2/postmaster.pid" ] && read -r pid <"$2/postmaster.pid"
ours() {
  [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null || return 1
  if [ -r "/proc/$pid/cmdline" ]; then tr '\0' ' ' <"/proc/$pid/cmdline"; else ps -p "$pid" -o args=; fi |
    grep -qF -- "$2"
}
signals="INT QUIT KILL"
[ -n "$1" ] && signals="QUIT KILL" # nobody needs the data any more
for signal in $signals; do
  ours "$@" || break
  kill -$signal "$pid" 2>/dev/null
  n=0
  while ours "$@" && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done
done
[ -n "$1" ] && rm -rf -- "$1"
exit 0
`

// watchdog is the small shell process that outlives us and stops the server then.
type watchdog struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

// startWatchdog starts it; temporary is the folder to remove after our death, empty to remove nothing.
func startWatchdog(temporary, data string) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "sh", temporary, data)
	(*account)(nil).dress(cmd)
	cmd.Dir = os.TempDir()
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("make the watchdog's pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	return &watchdog{cmd: cmd, pipe: pipe}, nil
}

// dismiss ends the watchdog without touching the server, and waits for it.
func (w *watchdog) dismiss() error {
	_, err := io.WriteString(w.pipe, "done\n")
	w.pipe.Close()
	if err != nil {
		_ = w.cmd.Process.Kill() // it is gone already; Wait tells
	}
	return w.cmd.Wait()
}
