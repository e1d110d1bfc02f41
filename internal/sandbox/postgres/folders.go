package postgres

import (
	"fmt"
	"os"
	"path/filepath"
)

// cacheFolder gives the folder for binaries and templates, made when missing: the configured one, else the user's cache, else,
// for a server that runs as another user who cannot enter our home, the system's cache or a temporary folder.
func cacheFolder(c Config, as *account) (string, error) {
	if c.Cache != "" {
		if err := makeReachable(c.Cache, as); err != nil {
			return "", fmt.Errorf("the cache folder: %w", err)
		}
		return filepath.Abs(c.Cache)
	}
	var places []string
	if user, err := os.UserCacheDir(); err == nil {
		places = append(places, filepath.Join(user, "nubridge", "postgres"))
	}
	if as != nil {
		places = append(places, "/var/cache/nubridge/postgres")
	}
	places = append(places, filepath.Join(os.TempDir(), fmt.Sprintf("nubridge-postgres-%d", os.Geteuid())))
	var failed error
	for _, dir := range places {
		if failed = makeReachable(dir, as); failed == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("find a place for the cache: %w", failed)
}

// makeReachable makes a folder whose owner we are and that the server's user can read.
func makeReachable(dir string, as *account) error {
	parent := dir
	for {
		if _, err := os.Stat(parent); err == nil || parent == filepath.Dir(parent) {
			break
		}
		parent = filepath.Dir(parent)
	}
	if !as.reaches(parent) { // nothing is made where it would be of no use
		return unreachable(dir, as)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if !as.reaches(dir) {
		return unreachable(dir, as)
	}
	return ownedByUs(dir)
}

func unreachable(dir string, as *account) error {
	return fmt.Errorf("%s cannot be reached by the user %s, who runs the server because PostgreSQL refuses root: choose a folder whose parents others may enter", dir, as)
}

// dataFolder gives the base folder to remove afterwards (empty for a named one) and the data folder.
func dataFolder(c Config, as *account) (base, data string, err error) {
	if c.Data != "" {
		if data, err = filepath.Abs(c.Data); err != nil {
			return "", "", err
		}
		if parent := filepath.Dir(data); !reachesNearest(parent, as) {
			return "", "", fmt.Errorf("the data folder: %w", unreachable(data, as))
		}
		return "", data, nil
	}
	for _, place := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		if !as.reaches(place) {
			continue
		}
		if base, err = os.MkdirTemp(place, "nubridge-pg-"); err != nil {
			continue
		}
		if err = os.Chmod(base, 0o711); err != nil {
			return "", "", err
		}
		return base, filepath.Join(base, "data"), nil
	}
	return "", "", fmt.Errorf("find a place for temporary data: %w", err)
}

func reachesNearest(dir string, as *account) bool {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return as.reaches(dir)
		}
		dir = filepath.Dir(dir)
	}
}
