package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/printer"
	"github.com/goccy/go-yaml/token"
)

// Error is everything wrong with a configuration file, one text per finding with file, line and caret.
type Error struct {
	Path     string
	Findings []string
}

// Error joins the findings.
func (e *Error) Error() string {
	return fmt.Sprintf("configuration %s:\n%s", e.Path, strings.Join(e.Findings, "\n"))
}

var (
	variable = regexp.MustCompile(`\$\{([^}]*)\}`)
	envName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// Load reads, expands and checks the file. lookup is os.LookupEnv but for tests.
func Load(path string, lookup func(string) (string, bool)) (*Config, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, &Error{path, []string{err.Error() + "; hint: give the file with --config FILE"}}
	}
	c, findings := parse(source, lookup)
	if len(findings) > 0 {
		return nil, &Error{path, findings}
	}
	c.Path = path
	if err := c.Finish(); err != nil {
		return nil, err
	}
	return c, nil
}

// Finish reads the files of the secrets, fills the defaults in and checks everything; Load does it, a program that makes its
// configuration itself must.
func (c *Config) Finish() error {
	findings := c.readFiles()
	c.defaults()
	if findings = append(findings, c.validate()...); len(findings) > 0 {
		return &Error{c.Path, findings}
	}
	return nil
}

// Resolve gives a path of the file relative to the file's folder.
func (c *Config) Resolve(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(c.Path), path)
}

func parse(source []byte, lookup func(string) (string, bool)) (*Config, []string) {
	file, err := parser.ParseBytes(source, 0)
	if err != nil {
		return nil, []string{yaml.FormatError(err, false, true)}
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, []string{"the file is empty; hint: docs/OPERATIONS.md has an example"}
	}
	e := expander{lookup: lookup}
	ast.Walk(&e, file.Docs[0].Body)
	if len(e.findings) > 0 {
		return nil, e.findings
	}
	c := &Config{}
	err = yaml.NodeToValue(file.Docs[0].Body, c, yaml.Strict())
	if err != nil {
		text := yaml.FormatError(err, false, true)
		if name := unknownKey(err); name != "" {
			if near := nearest(name, keysOf(reflect.TypeFor[Config](), nil)); near != "" {
				text += fmt.Sprintf("\n   hint: did you mean %q?", near)
			}
		}
		return nil, []string{text}
	}
	return c, nil
}

// expander replaces ${ENV} in values and refuses secrets written out. It keeps the positions of the nodes.
type expander struct {
	lookup   func(string) (string, bool)
	findings []string
}

// Visit implements ast.Visitor.
func (e *expander) Visit(n ast.Node) ast.Visitor {
	pair, ok := n.(*ast.MappingValueNode)
	if !ok {
		return e
	}
	s, ok := pair.Value.(*ast.StringNode)
	if !ok {
		if isSecret(pair.Key.String()) && isScalar(pair.Value) {
			e.refuse(pair)
		}
		return e
	}
	if isSecret(pair.Key.String()) && s.Value != "" && variable.FindString(s.Value) != s.Value {
		e.refuse(pair)
		return e
	}
	if isURL(pair.Key.String()) && passwordInURL.MatchString(variable.ReplaceAllString(s.Value, "")) {
		e.refuse(pair)
		return e
	}
	s.Value = variable.ReplaceAllStringFunc(s.Value, func(m string) string {
		name := m[2 : len(m)-1]
		value, ok := e.lookup(name)
		switch {
		case !envName.MatchString(name):
			e.add(s.GetToken(), fmt.Sprintf("%q is no name of an environment variable", name))
		case !ok:
			e.add(s.GetToken(), fmt.Sprintf("environment variable %s is not set; hint: export it, or name a file with %s_file", name, pair.Key))
		}
		return value
	})
	return e
}

func (e *expander) refuse(pair *ast.MappingValueNode) {
	// The excerpt would show the secret, so only its place is told. // I11
	pos := pair.Key.GetToken().Position
	e.findings = append(e.findings, fmt.Sprintf("[%d:%d] %s is written out in the file; hint: secrets come from the environment, as ${NAME}, or from a file, with %s_file",
		pos.Line, pos.Column, pair.Key, pair.Key))
}

func (e *expander) add(t *token.Token, text string) {
	e.findings = append(e.findings, at(t, text))
}

// at shows the place of a token with its line and a caret.
func at(t *token.Token, text string) string {
	var p printer.Printer
	return fmt.Sprintf("[%d:%d] %s\n%s", t.Position.Line, t.Position.Column, text, p.PrintErrorToken(t, false))
}

var passwordInURL = regexp.MustCompile(`^[a-z]+://[^/@:]*:[^/@]+@|password=[^&\s]+`)

func isSecret(key string) bool {
	for _, s := range []string{"password", "token", "token_secret", "consumer_key", "consumer_secret", "client_secret", "api_key"} {
		if key == s {
			return true
		}
	}
	return false
}

func isURL(key string) bool { return key == "url" || key == "replica_url" }

func isScalar(n ast.Node) bool {
	_, ok := n.(ast.ScalarNode)
	return ok && n.Type() != ast.NullType
}

func unknownKey(err error) string {
	if u, ok := errors.AsType[*yaml.UnknownFieldError](err); ok {
		if i := strings.IndexByte(u.Message, '"'); i >= 0 {
			return strings.Trim(u.Message[i:], `"`)
		}
	}
	return ""
}

// readFiles fills each secret that has a file.
func (c *Config) readFiles() []string {
	var findings []string
	c.eachSecret(func(name string, s *Secret, file string) {
		switch {
		case file == "":
		case s.IsSet():
			findings = append(findings, fmt.Sprintf("%s and %s_file are both given; hint: keep one", name, name))
		default:
			text, err := os.ReadFile(c.Resolve(file))
			if err != nil {
				findings = append(findings, fmt.Sprintf("%s_file: %v", name, err))
				return
			}
			*s = NewSecret(strings.TrimRight(string(text), "\r\n"))
		}
	})
	return findings
}

func (c *Config) eachSecret(visit func(name string, s *Secret, file string)) {
	visit("oms.url", &c.OMS.URL, c.OMS.URLFile)
	visit("oms.replica_url", &c.OMS.ReplicaURL, c.OMS.ReplicaURLFile)
	visit("ledger.url", &c.Ledger.URL, c.Ledger.URLFile)
	visit("kafka.sasl.password", &c.Kafka.SASL.Password, c.Kafka.SASL.PasswordFile)
	for _, name := range sortedKeys(c.Environments) {
		e := c.Environments[name]
		if e == nil {
			continue
		}
		n, o, at := &e.NuORDER, &e.OMSAPI, "environments."+name
		visit(at+".nuorder.consumer_key", &n.ConsumerKey, n.ConsumerKeyFile)
		visit(at+".nuorder.consumer_secret", &n.ConsumerSecret, n.ConsumerSecretFile)
		visit(at+".nuorder.token", &n.Token, n.TokenFile)
		visit(at+".nuorder.token_secret", &n.TokenSecret, n.TokenSecretFile)
		visit(at+".oms_api.password", &o.Password, o.PasswordFile)
		visit(at+".oms_api.token", &o.Token, o.TokenFile)
		visit(at+".oms_api.api_key", &o.APIKey, o.APIKeyFile)
		visit(at+".oms_api.client_secret", &o.ClientSecret, o.ClientSecretFile)
	}
}
