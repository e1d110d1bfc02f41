//go:build unix

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// account is the user that runs the server when we are root, which PostgreSQL refuses. Nil means ourselves.
type account struct {
	name     string
	uid, gid int
}

// String gives the name.
func (a *account) String() string {
	if a == nil {
		return "ourselves"
	}
	return a.name
}

// serverAccount finds the user to run the server as: postgres where there is one, else nobody.
func serverAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err1 == nil && err2 == nil && uid > 0 {
			return &account{name: name, uid: uid, gid: gid}, nil
		}
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is neither a user postgres nor a user nobody to run it as; " +
		"run this program as another user")
}

// dress prepares a command to run as the account, in a session of its own: a signal to our terminal or group is not for it.
func (a *account) dress(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if a != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
		cmd.Env = append(os.Environ(), "HOME=/", "USER="+a.name, "LOGNAME="+a.name)
		cmd.Dir = "/"
	}
}

// own hands one file or folder to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// ownAll hands a whole tree to the account.
func (a *account) ownAll(root string) error {
	if a == nil {
		return nil
	}
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return a.own(path)
	})
}

// reaches tells whether the account can read a folder that exists: each folder on the way must let it pass.
func (a *account) reaches(path string) bool {
	if a == nil {
		return true
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	for ; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil || !a.passes(info) {
			return false
		}
		if path == filepath.Dir(path) {
			return true
		}
	}
}

func (a *account) passes(info os.FileInfo) bool {
	const pass = 1
	shift := 0
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		switch {
		case int(stat.Uid) == a.uid:
			shift = 6
		case int(stat.Gid) == a.gid:
			shift = 3
		}
	}
	return info.Mode().Perm()>>shift&pass != 0
}

// lock takes an exclusive lock on a file, waiting for it as long as the context lives; the answer releases it.
func lock(ctx context.Context, path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("wait for another process to release %s: %w", path, ctx.Err())
		case <-tick.C:
		}
	}
}

const (
	fastStop  = syscall.SIGINT
	crashStop = syscall.SIGQUIT
)

// ownedByUs refuses a folder that somebody else made: what lies in it would be run as a program.
func ownedByUs(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("the folder %s belongs to another user: name a cache folder of your own by %s", dir, EnvCache)
	}
	return nil
}
