package mapper

import (
	"fmt"
	"sort"
	"strings"
)

// Severity tells errors, which stop everything, from warnings.
type Severity byte

// The severities.
const (
	Error Severity = iota
	Warning
)

// String gives the word that is printed.
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// Finding is one thing that the check found in a mapping folder, with its place.
type Finding struct {
	Severity Severity
	// File, Line and Column say where; Line and Column count from one, zero if the finding is about the whole file.
	File         string
	Line, Column int
	// Source is the text of the line, for the excerpt with the caret.
	Source string
	// Message says what is wrong, Expected what would be right, Suggestion what to do or what was probably meant.
	Message, Expected, Suggestion string
}

// String gives the finding as it is printed: place, message, excerpt with caret, expectation, suggestion.
func (f Finding) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	fmt.Fprintf(&b, ": %s: %s", f.Severity, f.Message)
	if f.Source != "" {
		source, column := excerpt(f.Source, f.Column)
		fmt.Fprintf(&b, "\n  %5d | %s\n        | %s^", f.Line, source, caretPad(source, column))
	}
	if f.Expected != "" {
		b.WriteString("\n  expected: " + f.Expected)
	}
	if f.Suggestion != "" {
		b.WriteString("\n  hint: " + f.Suggestion)
	}
	return b.String()
}

// maxExcerpt is how much of a line is shown, in characters.
const maxExcerpt = 160

// excerpt cuts a long line to what is around the column.
func excerpt(source string, column int) (string, int) {
	runes := []rune(source)
	if len(runes) <= maxExcerpt {
		return source, column
	}
	from := max(min(column-1-maxExcerpt/2, len(runes)-maxExcerpt), 0)
	text, shift := string(runes[from:min(from+maxExcerpt, len(runes))]), from
	if from > 0 {
		text, shift = "..."+text, from-3
	}
	return text, column - shift
}

func caretPad(source string, column int) string {
	var b strings.Builder
	for i, r := range []rune(source) {
		if i >= column-1 {
			break
		}
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// Findings are all findings of one check.
type Findings []Finding

// HasErrors tells whether one of the findings stops the mapping from being used.
func (f Findings) HasErrors() bool {
	for _, x := range f {
		if x.Severity == Error {
			return true
		}
	}
	return false
}

// Errors counts the findings of severity Error.
func (f Findings) Errors() int {
	n := 0
	for _, x := range f {
		if x.Severity == Error {
			n++
		}
	}
	return n
}

// String gives all findings, a blank line between two.
func (f Findings) String() string {
	out := make([]string, len(f))
	for i, x := range f {
		out[i] = x.String()
	}
	return strings.Join(out, "\n\n")
}

// Err gives an error that holds all findings if one of them is an error, else nil.
func (f Findings) Err() error {
	if !f.HasErrors() {
		return nil
	}
	return fmt.Errorf("mapping has %d errors:\n%s", f.Errors(), f.String())
}

// Sort orders findings by file, line and column.
func (f Findings) Sort() {
	sort.SliceStable(f, func(i, j int) bool {
		a, b := f[i], f[j]
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
}

// suggest gives the sentence "did you mean ...?" for the nearest of the known names, or the empty string.
func suggest(name string, known []string) string {
	best, bestDistance := "", len(name)/2+1
	for _, k := range known {
		if strings.EqualFold(k, name) {
			return fmt.Sprintf("did you mean %q?", k)
		}
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < bestDistance || d == bestDistance && best != "" && k < best {
			best, bestDistance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		previous := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			previous, row[j] = row[j], min(row[j]+1, row[j-1]+1, previous+cost)
		}
	}
	return row[len(b)]
}

// Suggest gives the sentence "did you mean ...?" for the nearest of the known names, or the empty string.
func Suggest(name string, known []string) string { return suggest(name, known) }
