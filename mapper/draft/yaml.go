package draft

import (
	"encoding/json"
	"strings"
)

// yaml writes the draft, two blanks for each depth.
type yaml struct{ b strings.Builder }

// String gives what was written.
func (y *yaml) String() string { return y.b.String() }

func (y *yaml) comment(s string) { y.b.WriteString("# " + s + "\n") }

func (y *yaml) line(depth int, s string) {
	if s != "" {
		y.b.WriteString(strings.Repeat("  ", depth) + s)
	}
	y.b.WriteByte('\n')
}

func (y *yaml) block(depth int, s string) {
	for _, l := range strings.Split(s, "\n") {
		y.line(depth, l)
	}
}

// scalar writes an expression or a name so that YAML reads it back as it is.
func scalar(s string) string {
	if strings.ContainsAny(s, "#:{}[],&*!|>'\"%@`") || s == "" || s != strings.TrimSpace(s) || s == "yes" || s == "no" || s == "No" || s == "y" || s == "n" {
		if !strings.Contains(s, "'") {
			return "'" + s + "'"
		}
		text, err := json.Marshal(s)
		if err == nil {
			return string(text)
		}
	}
	return s
}

// flow writes names as a YAML list.
func flow(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = scalar(n)
	}
	return "[" + strings.Join(out, ", ") + "]"
}
