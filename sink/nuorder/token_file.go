package nuorder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Names of the files that a token is stored in; the configuration refers to them by token_file and token_secret_file.
const (
	TokenFile       = "token"
	TokenSecretFile = "token_secret"
)

// TokenDir is the folder for the token of an environment where none is named: below the user's configuration, outside any project.
func TokenDir(environment string) (string, error) {
	base, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the user's configuration folder: %w", err)
	}
	return filepath.Join(base, "nubridge", filepath.Base(filepath.Clean("/"+environment))), nil
}

// SaveToken stores token and secret in two files of mode 0600 in a folder of mode 0700, replacing older ones. It refuses a folder
// inside a version-controlled tree, where secrets end up in commits. // I11
func SaveToken(dir string, c Credentials) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("store the token: %w", err)
	}
	if tree := treeOf(dir); tree != "" {
		return fmt.Errorf("store the token: %s is inside the version-controlled folder %s; hint: choose a folder outside of it", dir, tree)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("store the token: %w", err)
	}
	for name, text := range map[string]string{TokenFile: c.Token, TokenSecretFile: c.TokenSecret} {
		if err := writeSecret(filepath.Join(dir, name), text); err != nil {
			return fmt.Errorf("store the token: %w", err)
		}
	}
	return nil
}

// writeSecret replaces the file whole; nobody else can read it at any moment.
func writeSecret(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".token-*") // of mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already if all went well
	_, err = f.WriteString(text + "\n")
	err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// treeOf finds the version-controlled folder that holds dir, which need not exist yet.
func treeOf(dir string) string {
	for ; ; dir = filepath.Dir(dir) {
		for _, mark := range []string{".git", ".hg", ".svn", ".jj"} {
			if _, err := os.Stat(filepath.Join(dir, mark)); !errors.Is(err, fs.ErrNotExist) && err == nil {
				return dir
			}
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}
