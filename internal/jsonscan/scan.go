// Package jsonscan walks JSON in one pass and builds nothing: for readers that want a few members of large documents, many times a
// second. It is safe on foreign bytes. It takes what RFC 8259 takes, and inside of strings any byte but an unescaped quote: who needs
// those checked looks with json.Valid first.
package jsonscan

import (
	"bytes"
	"fmt"
)

// MaxDepth bounds the nesting of objects and arrays.
const MaxDepth = 512

// Scanner stands at a place in a document. The bytes stay the caller's, and what it gives refers to them.
type Scanner struct {
	data   []byte
	pos    int
	depth  int
	strict bool
}

// New gives a scanner at the beginning.
func New(data []byte) Scanner { return Scanner{data: data} }

// Strict gives a scanner that looks into strings too: what it walks to its end is JSON.
func Strict(data []byte) Scanner { return Scanner{data: data, strict: true} }

// Pos is the place in bytes from the beginning.
func (s *Scanner) Pos() int { return s.pos }

func (s *Scanner) fault(what string) error {
	return fmt.Errorf("%s at byte %d of %d", what, s.pos, len(s.data))
}

// Peek moves over white space and gives the byte behind it, zero at the end.
func (s *Scanner) Peek() byte {
	for ; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// End checks that nothing but white space follows.
func (s *Scanner) End() error {
	if s.Peek(); s.pos != len(s.data) {
		return s.fault("expected the end")
	}
	return nil
}

// Open moves into the object or array at the place, told by its bracket, and tells whether it has an element. Each element of an
// object is read by Name and then as a value; after each, Next follows.
func (s *Scanner) Open(bracket byte) (more bool, err error) {
	if s.Peek() != bracket || s.pos == len(s.data) {
		if bracket == '{' {
			return false, s.fault("expected an object")
		}
		return false, s.fault("expected an array")
	}
	if s.depth++; s.depth > MaxDepth {
		return false, s.fault("nesting too deep")
	}
	s.pos++
	if s.Peek() == bracket+2 { // in ASCII the closing bracket is two behind the opening one
		s.pos++
		s.depth--
		return false, nil
	}
	return true, nil
}

// Next moves behind the element that was read, and tells whether another follows in the object or array of this bracket.
func (s *Scanner) Next(bracket byte) (more bool, err error) {
	switch c := s.Peek(); c {
	case ',':
		s.pos++
		return true, nil
	case bracket + 2:
		s.pos++
		s.depth--
		return false, nil
	}
	if bracket == '{' {
		return false, s.fault("expected a comma or the end of the object")
	}
	return false, s.fault("expected a comma or the end of the array")
}

// Name moves over the name of a member and its colon. It gives the name as it is written, between its quotes.
func (s *Scanner) Name() ([]byte, error) {
	s.Peek()
	start := s.pos + 1
	if err := s.text(); err != nil {
		return nil, err
	}
	end := s.pos - 1
	if s.Peek() != ':' {
		return nil, s.fault("expected a colon")
	}
	s.pos++
	return s.data[start:end], nil
}

// Raw moves over any value and gives it as it is written.
func (s *Scanner) Raw() ([]byte, error) {
	s.Peek()
	start := s.pos
	if err := s.Skip(); err != nil {
		return nil, err
	}
	return s.data[start:s.pos], nil
}

// Skip moves over any value.
func (s *Scanner) Skip() error {
	switch c := s.Peek(); c {
	case '"':
		return s.text()
	case '{', '[':
		more, err := s.Open(c)
		for more && err == nil {
			if c == '{' {
				if _, err = s.Name(); err != nil {
					return err
				}
			}
			if err = s.Skip(); err == nil {
				more, err = s.Next(c)
			}
		}
		return err
	}
	start := s.pos
	for s.pos < len(s.data) && inWord(s.data[s.pos]) {
		s.pos++
	}
	if !validWord(s.data[start:s.pos]) {
		s.pos = start
		return s.fault("expected a value")
	}
	return nil
}

// inWord tells whether a number, true, false or null can hold the byte.
func inWord(c byte) bool {
	return c >= '-' && c <= '9' || c >= 'a' && c <= 'z' || c == '+' || c == 'E'
}

// shortText is how far a string is looked through byte by byte: most end there, and for those a search costs more than it gains.
const shortText = 24

// text moves over a string.
func (s *Scanner) text() error {
	if s.pos >= len(s.data) || s.data[s.pos] != '"' {
		return s.fault("expected a string")
	}
	s.pos++
	if s.strict {
		return s.strictText()
	}
	for near := min(len(s.data), s.pos+shortText); s.pos < near; s.pos++ {
		switch s.data[s.pos] {
		case '"':
			s.pos++
			return nil
		case '\\':
			s.pos++
		}
	}
	for s.pos < len(s.data) {
		i := bytes.IndexByte(s.data[s.pos:], '"')
		if i < 0 {
			break
		}
		end := s.pos + i
		slashes := 0
		for j := end - 1; j >= s.pos && s.data[j] == '\\'; j-- {
			slashes++
		}
		s.pos = end + 1
		if slashes%2 == 0 {
			return nil
		}
	}
	s.pos = len(s.data)
	return s.fault("expected the end of a string")
}

// strictText moves over the rest of a string and its quote.
func (s *Scanner) strictText() error {
	for ; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			return nil
		case c < ' ':
			return s.fault("expected no control character")
		case c != '\\':
			continue
		}
		if s.pos++; s.pos == len(s.data) {
			break
		}
		switch s.data[s.pos] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		case 'u':
			if !hex4(s.data[s.pos+1:]) {
				return s.fault("expected four hexadecimal digits")
			}
			s.pos += 4
		default:
			return s.fault("expected an escape")
		}
	}
	return s.fault("expected the end of a string")
}

// hex4 tells whether text begins with four hexadecimal digits.
func hex4(text []byte) bool {
	if len(text) < 4 {
		return false
	}
	for _, c := range text[:4] {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// validWord tells whether a word is a number, true, false or null.
func validWord(word []byte) bool {
	switch string(word) {
	case "null", "true", "false":
		return true
	}
	if len(word) > 0 && word[0] == '-' {
		word = word[1:]
	}
	whole := digits(word)
	if whole == 0 || whole > 1 && word[0] == '0' {
		return false
	}
	if word = word[whole:]; len(word) == 0 {
		return true
	}
	if word[0] == '.' {
		n := digits(word[1:])
		if n == 0 {
			return false
		}
		word = word[1+n:]
	}
	if len(word) > 0 && word[0]|0x20 == 'e' {
		word = word[1:]
		if len(word) > 0 && (word[0] == '+' || word[0] == '-') {
			word = word[1:]
		}
		n := digits(word)
		if n == 0 {
			return false
		}
		word = word[n:]
	}
	return len(word) == 0
}

// digits counts those that word begins with.
func digits(word []byte) int {
	n := 0
	for n < len(word) && word[n] >= '0' && word[n] <= '9' {
		n++
	}
	return n
}
