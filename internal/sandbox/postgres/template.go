package postgres

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// newDatabase makes a fresh data folder at data. A temporary one is copied from a template in the cache, made once per
// version, since initdb takes most of the time of a start.
func newDatabase(ctx context.Context, i install, as *account, cache, data string, temporary bool) error {
	if !temporary || cache == "" {
		return initdb(ctx, i, as, data)
	}
	template, err := templateOf(ctx, i, as, cache)
	if err != nil {
		return err
	}
	if err := copyTree(template, data); err != nil {
		return fmt.Errorf("copy the template of the data folder: %w", err)
	}
	return as.ownAll(data)
}

// templateOf gives the folder of the template, made when missing.
func templateOf(ctx context.Context, i install, as *account, cache string) (string, error) {
	name := filepath.Join(cache, "template-"+strings.Map(fileSafe, i.version+i.bin))
	if _, err := os.Stat(filepath.Join(name, "PG_VERSION")); err == nil {
		return name, nil
	}
	release, err := lock(ctx, name+".lock")
	if err != nil {
		return "", err
	}
	defer release()
	if _, err := os.Stat(filepath.Join(name, "PG_VERSION")); err == nil { // another process was quicker
		return name, nil
	}
	base, err := os.MkdirTemp(cache, "initdb-")
	if err != nil {
		return "", fmt.Errorf("make folder for a template: %w", err)
	}
	defer func() { _ = os.RemoveAll(base) }() // only a leftover
	if err := os.Chmod(base, 0o755); err != nil {
		return "", err
	}
	data := filepath.Join(base, "data")
	if err := initdb(ctx, i, as, data); err != nil {
		return "", err
	}
	if err := os.Rename(data, name); err != nil {
		return "", fmt.Errorf("put the template in place: %w", err)
	}
	return name, nil
}

func fileSafe(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' {
		return r
	}
	return '-'
}

func initdb(ctx context.Context, i install, as *account, data string) error {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	if err := as.own(data); err != nil {
		return fmt.Errorf("give the data folder to the user %s: %w", as, err)
	}
	cmd := exec.CommandContext(ctx, i.program("initdb"), "--pgdata", data, "--username", superuser, "--auth", "trust",
		"--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions")
	as.dress(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb of PostgreSQL %s: %w: %s", i.version, err, tail(string(out), 600))
	}
	return nil
}

// tail gives the last bytes of a text, on one line.
func tail(text string, n int) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > n {
		text = "... " + strings.ToValidUTF8(text[len(text)-n:], "")
	}
	return text
}

// copyTree copies folders, files and links.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case entry.IsDir():
			return os.MkdirAll(target, 0o700)
		case entry.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		default:
			return copyFile(path, target)
		}
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
