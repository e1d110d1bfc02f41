package nuorder

import (
	"strings"

	"nubridge/internal/jsonscan"
)

// members walks the members of a JSON object that is known to be whole, and gives each name in small letters, as encoding/json takes
// names whatever their case, and its value as it is written. It tells whether it came to the end: what it does not walk, encoding/json
// can still read.
func members(raw []byte, visit func(name, value []byte)) bool {
	s := jsonscan.New(raw)
	return walk(&s, visit)
}

// strictMembers is members for JSON that may be none: it tells whether raw is an object, from its beginning to its end.
func strictMembers(raw []byte, visit func(name, value []byte)) bool {
	s := jsonscan.Strict(raw)
	return walk(&s, visit) && s.End() == nil
}

func walk(s *jsonscan.Scanner, visit func(name, value []byte)) bool {
	more, err := s.Open('{')
	for more && err == nil {
		var name, value []byte
		if name, err = s.Name(); err == nil {
			value, err = s.Raw()
		}
		if err != nil {
			return false
		}
		visit(small(name), value)
		more, err = s.Next('{')
	}
	return err == nil
}

// elements gives the elements of a JSON array that is known to be whole, or false.
func elements(raw []byte, visit func(value []byte) bool) bool {
	s := jsonscan.New(raw)
	more, err := s.Open('[')
	for more && err == nil {
		var value []byte
		if value, err = s.Raw(); err != nil || !visit(value) {
			return false
		}
		more, err = s.Next('[')
	}
	return err == nil
}

// small gives the name of a member in small letters.
func small(name []byte) []byte {
	for _, c := range name {
		if c != '_' && (c < 'a' || c > 'z') {
			return []byte(strings.ToLower(strings.ToUpper(string(jsonscan.Unescape(name))))) // by capitals, which some letters share
		}
	}
	return name
}
