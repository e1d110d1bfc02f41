package nuorder

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const messageCap = 300

// clean makes a text of the far end fit for logs and errors: no control characters, no e-mail addresses, no long runs of digits
// such as telephone numbers, at most 300 bytes. // I11
func clean(text string) string {
	// Only what can end up in the result is looked at, however long the body was.
	if len(text) > 4*messageCap {
		text = text[:4*messageCap]
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError:
			return '?'
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
	words := strings.Fields(text)
	for i, w := range words {
		switch {
		case strings.Contains(w, "@"):
			words[i] = "<address>"
		case digits(w) >= 7 && letters(w) == 0:
			words[i] = "<number>"
		}
	}
	text = strings.Join(words, " ")
	if len(text) > messageCap {
		cut := messageCap
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return text
}

func digits(w string) (n int) {
	for _, r := range w {
		if unicode.IsDigit(r) {
			n++
		}
	}
	return n
}

func letters(w string) (n int) {
	for _, r := range w {
		if unicode.IsLetter(r) {
			n++
		}
	}
	return n
}
