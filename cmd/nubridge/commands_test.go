package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"nubridge/internal/lifecycle"
)

// leaves lists every command that does something, by its words.
func leaves(t *testing.T) map[string]*kong.Node {
	t.Helper()
	parser, err := kong.New(&commands{}, kong.Name("nubridge"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*kong.Node{}
	for _, n := range parser.Model.Leaves(false) {
		found[strings.TrimPrefix(n.FullPath(), "nubridge ")] = n
	}
	return found
}

// called runs a command line in this process.
func called(t *testing.T, args ...string) (code int, out, err string) {
	t.Helper()
	var o, e bytes.Buffer
	code = execute(t.Context(), args, std{in: strings.NewReader(""), out: &o, err: &e})
	return code, o.String(), e.String()
}

func TestHelpOfEveryCommandEndsWithAnExample(t *testing.T) {
	t.Parallel()
	found := leaves(t)
	if len(found) < 25 {
		t.Fatalf("only %d commands", len(found))
	}
	for words, node := range found {
		code, out, _ := called(t, append(strings.Fields(words), "--help")...)
		_, example, ok := strings.Cut(out, "\nExample:\n")
		if code != 0 || !ok {
			t.Errorf("%s --help: exit %d, without an example", words, code)
			continue
		}
		for line := range strings.Lines(strings.TrimSpace(example)) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, "nubridge "+words) {
				t.Errorf("%s: the example %q shows another command", words, line)
			}
			parses(t, "the example of "+words, line)
		}
		if _, ok := node.Target.Addr().Interface().(exampled); !ok {
			t.Errorf("%s has no example of its own", words)
		}
	}
	if code, out, _ := called(t); code != 0 || !strings.Contains(out, "Example:") {
		t.Errorf("without a command: exit %d, %q", code, out)
	}
}

func TestMisuseOfEveryCommandExits2(t *testing.T) {
	t.Parallel()
	for words := range leaves(t) {
		code, _, err := called(t, append(strings.Fields(words), "--no-such-flag")...)
		if code != lifecycle.ExitUsage || !strings.Contains(err, "--no-such-flag") || !strings.Contains(err, "hint: ") {
			t.Errorf("%s --no-such-flag: exit %d, %q", words, code, err)
		}
	}
	for _, args := range [][]string{
		{"no-such-command"},
		{"parked"},
		{"status", "--config", "no-such-file"},
		{"status", "--every", "1ms"},
		{"replay", "products"},
		{"replay", "prodcts", "--all"},
		{"replay", "products", "--all", "--keys", "1"},
		{"replay", "products", "--since", "yesterday"},
		{"replay", "products", "--from-offset", "topic"},
		{"replay", "products", "--keys", "1", "--wait"},
		{"replay", "products", "--keys", "1", "--until", "1h"},
		{"replay", "products", "--since", "1h", "--until", "2h"},
		{"pause", "orders"},
		{"resume", "nothing"},
		{"parked", "retry"},
		{"parked", "retry", "--all", "--code", "x"},
		{"parked", "discard", "--all", "--apply"},
		{"parked", "list", "--flow", "nothing"},
		{"orders", "list", "--state", "LOST"},
		{"orders", "adopt", "1"},
		{"orders", "release", "1"},
		{"orders", "release", "1", "--reason", " "},
		{"accept-gap"},
		{"snapshot", "start", "--where", "true"},
		{"verify", "orders", "--repair"},
		{"init", "--out", t.TempDir()},
		{"init"},
		{"nuorder", "connect", "--url", "https://example.com"},
		{"mapping", "try", "products"},
		{"sandbox", "mapping"},
	} {
		code, out, err := called(t, args...)
		if code != lifecycle.ExitUsage || !strings.HasPrefix(err, "nubridge: ") || out != "" {
			t.Errorf("%q: exit %d, %q, %q", args, code, out, err)
		}
	}
}

var (
	inlineCommand = regexp.MustCompile("`(nubridge [^`]+)`")
	words         = regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`)
)

// parses fails the test when a command line is none that this program takes.
func parses(t *testing.T, where, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, " # ")
	line, _, _ = strings.Cut(line, " | ")
	line, _, _ = strings.Cut(line, " > ")
	line = strings.TrimSuffix(strings.TrimSpace(line), " &")
	var args []string
	for _, w := range words.FindAllString(line, -1)[1:] {
		args = append(args, strings.Trim(w, `"'`))
	}
	parser, err := kong.New(&commands{}, kong.Name("nubridge"), kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) { panic(leave{}) }))
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	left(func() { _, failed = parser.Parse(args) })
	if failed != nil {
		t.Errorf("%s: %q: %v", where, line, failed)
	}
}

// TestCommandLinesInTheDocsParse holds the pages to the program: each line of a code block that begins with nubridge is parsed, and
// each command named in running text exists.
func TestCommandLinesInTheDocsParse(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	known := leaves(t)
	lines := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		block := false
		for line := range strings.Lines(string(text)) {
			indented := strings.HasPrefix(line, "    go run ./cmd/nubridge ") || strings.HasPrefix(line, "    nubridge ")
			line = strings.TrimSpace(line)
			switch {
			case strings.HasPrefix(line, "```"):
				block = !block
			case block || indented:
				line = strings.TrimPrefix(line, "$ ")
				if rest, ok := strings.CutPrefix(line, "go run ./cmd/nubridge "); ok {
					line = "nubridge " + rest
				}
				if strings.HasPrefix(line, "nubridge ") {
					parses(t, page, line)
					lines++
				}
			default:
				for _, m := range inlineCommand.FindAllStringSubmatch(line, -1) {
					if !names(known, strings.Fields(m[1])[1:]) {
						t.Errorf("%s names %q, which is no command", page, m[1])
					}
				}
			}
		}
	}
	t.Log(lines, "command lines")
}

// names tells whether words begin with a command, or with the first words of some.
func names(known map[string]*kong.Node, args []string) bool {
	var plain []string
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			break
		}
		plain = append(plain, a)
	}
	if len(plain) == 0 {
		return true
	}
	for k := range known {
		path := strings.Fields(k)
		n := min(len(path), len(plain))
		if slices.Equal(path[:n], plain[:n]) {
			return true
		}
	}
	return false
}
