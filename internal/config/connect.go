package config

import (
	"fmt"
	"os"
	"strings"
)

// LoadForConnect is Load for the command that gets the tokens: what is missing only because there is no token yet is no finding,
// and neither are files of tokens that do not exist.
func LoadForConnect(path string, lookup func(string) (string, bool)) (*Config, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, &Error{path, []string{err.Error() + "; hint: give the file with --config FILE, or the portal with --url"}}
	}
	// A token that is to come from a variable may not be set yet.
	c, found := parse(source, func(name string) (string, bool) {
		value, _ := lookup(name)
		return value, true
	})
	if len(found) > 0 {
		return nil, &Error{path, found}
	}
	c.Path = path
	for _, e := range c.Environments {
		if e != nil {
			e.NuORDER.TokenFile, e.NuORDER.TokenSecretFile = "", ""
		}
	}
	if found := c.readFiles(); len(found) > 0 {
		return nil, &Error{path, found}
	}
	c.defaults()
	return c, nil
}

// ReadSecret reads a secret from a file; line ends at its end are no part of it.
func ReadSecret(path string) (Secret, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Secret{}, fmt.Errorf("read a secret: %w", err)
	}
	return NewSecret(strings.TrimRight(string(text), "\r\n")), nil
}
