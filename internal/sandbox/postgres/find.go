package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNotFound tells that no PostgreSQL server is installed and none could be fetched.
var ErrNotFound = errors.New("no PostgreSQL server found")

// install is one set of server programs.
type install struct {
	bin     string // the folder that holds postgres and initdb
	version string // as the server says it, such as 15.18
	major   int
}

func (i install) program(name string) string { return filepath.Join(i.bin, name) }

// usualFolders are where packages of the known distributions put a server that is not in PATH.
func usualFolders() []string {
	return []string{
		"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
		"/usr/pgsql-*/bin",          // the project's own packages for Red Hat and kin
		"/usr/libexec/postgresql*",  // Alpine
		"/usr/lib/postgresql*/bin",  // SUSE, Gentoo
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/opt/homebrew/opt/postgresql/bin",
		"/usr/local/pgsql/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	}
}

// findInstalled looks for an installed server: the named folder alone if there is one, else PATH, pg_config and the usual
// folders, newest first.
func findInstalled(ctx context.Context, c Config, as *account) (install, error) {
	if c.Bin != "" {
		i, err := inspect(ctx, c.Bin)
		switch {
		case err != nil:
			return install{}, fmt.Errorf("the folder %s holds no usable PostgreSQL server: %w", c.Bin, err)
		case c.Major != 0 && i.major != c.Major:
			return install{}, fmt.Errorf("the folder %s holds PostgreSQL %s, but version %d is asked for", c.Bin, i.version, c.Major)
		case !as.reaches(i.bin):
			return install{}, fmt.Errorf("the folder %s cannot be read by the user %s, which runs the server because PostgreSQL refuses root", c.Bin, as)
		}
		return i, nil
	}
	for _, bin := range candidates(ctx) {
		i, err := inspect(ctx, bin)
		if err != nil || i.major < MinMajor || i.major > MaxMajor || c.Major != 0 && i.major != c.Major || !as.reaches(bin) {
			continue
		}
		return i, nil
	}
	return install{}, ErrNotFound
}

func candidates(ctx context.Context) []string {
	var found []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			found = append(found, filepath.Dir(real))
		}
	}
	if path, err := exec.LookPath("pg_config"); err == nil {
		if out, err := exec.CommandContext(ctx, path, "--bindir").Output(); err == nil {
			found = append(found, strings.TrimSpace(string(out)))
		}
	}
	for _, pattern := range usualFolders() {
		folders, _ := filepath.Glob(pattern) // a bad pattern is a programming error that the tests would show
		slices.SortFunc(folders, func(a, b string) int { return numberIn(b) - numberIn(a) })
		found = append(found, folders...)
	}
	return found
}

// numberIn gives the first number in a path, so that 18 sorts above 9.
func numberIn(path string) int {
	start := strings.IndexAny(path, "0123456789")
	if start < 0 {
		return 0
	}
	end := start
	for end < len(path) && path[end] >= '0' && path[end] <= '9' {
		end++
	}
	n, _ := strconv.Atoi(path[start:end])
	return n
}

// inspect asks the programs of a folder for their version.
func inspect(ctx context.Context, bin string) (install, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return install{}, err
	}
	if bin, err = filepath.EvalSymlinks(bin); err != nil {
		return install{}, err
	}
	if _, err := os.Stat(filepath.Join(bin, "initdb")); err != nil {
		return install{}, err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return install{}, fmt.Errorf("ask postgres for its version: %w", err)
	}
	version, major, err := parseVersion(string(out))
	if err != nil {
		return install{}, err
	}
	return install{bin: bin, version: version, major: major}, nil
}

// parseVersion reads what postgres --version prints, such as "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)".
func parseVersion(text string) (version string, major int, err error) {
	for word := range strings.FieldsSeq(text) {
		rest := strings.TrimLeft(word, "0123456789") // 15.18, 18beta1, 19devel
		if major, err = strconv.Atoi(strings.TrimSuffix(word, rest)); err == nil && major > 0 {
			return word, major, nil
		}
	}
	return "", 0, fmt.Errorf("no version in %q", strings.TrimSpace(text))
}
