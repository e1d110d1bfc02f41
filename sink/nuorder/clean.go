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
		case longNumber(w) && objectID(strings.Trim(w, `"'.,:;()[]{}`)) == "":
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

// longNumber tells whether a word has seven digits with nothing but punctuation between them.
func longNumber(w string) bool {
	run := 0
	for _, r := range w {
		switch {
		case unicode.IsDigit(r):
			run++
			if run == 7 {
				return true
			}
		case unicode.IsLetter(r):
			run = 0
		}
	}
	return false
}

// token keeps an id of the far end: letters, digits and a few signs, at most 64 of them.
func token(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_.:", r)) {
			return r
		}
		return -1
	}, text)
	return text[:min(len(text), 64)]
}
