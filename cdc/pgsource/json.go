package pgsource

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

const hexDigits = "0123456789ABCDEF"

// plain8 tells whether eight bytes are all ASCII that a JSON string carries as it is.
func plain8(v uint64) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	quote, slash := v^ones*'"', v^ones*'\\'
	return ((v-ones*0x20)|(quote-ones)&^quote|(slash-ones)&^slash|v)&high == 0
}

// appendString appends text as a JSON string with its quotes. What is no UTF-8 becomes the replacement character.
func appendString(dst, text []byte) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, text)
	return append(dst, '"')
}

// appendEscaped appends the inside of a JSON string, escaped as Debezium's serializer does.
func appendEscaped(dst, text []byte) []byte {
	start := 0
	for i := 0; i < len(text); {
		if i+8 <= len(text) && plain8(binary.LittleEndian.Uint64(text[i:])) {
			i += 8
			continue
		}
		c := text[i]
		if c >= 0x20 && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRune(text[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, text[start:i]...)
				dst = append(dst, "\ufffd"...)
				start = i + 1
			}
			i += n
			continue
		}
		dst = append(dst, text[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(dst, text[start:]...)
}

// pairSurrogates rewrites the characters outside the basic plane that follow start as escaped pairs of surrogates, as Debezium's
// serializer does. Readers take both for the same; partitions and compaction go by the bytes of a key.
func pairSurrogates(dst []byte, start int) []byte {
	for i := start; i < len(dst); i++ {
		if dst[i] < 0xf0 {
			continue
		}
		text := string(dst[i:])
		dst = dst[:i]
		for _, r := range text {
			if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
				for _, u := range [2]rune{high, low} {
					dst = append(dst, '\\', 'u', hexDigits[u>>12], hexDigits[u>>8&15], hexDigits[u>>4&15], hexDigits[u&15])
				}
			} else {
				dst = utf8.AppendRune(dst, r)
			}
		}
		break
	}
	return dst
}

// appendBase64 appends bytes as a JSON string in base64.
func appendBase64(dst, data []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, data)
	return append(dst, '"')
}

// appendFloat appends a float as a JSON number, as a string where JSON has no number for it.
func appendFloat(dst []byte, v float64) []byte {
	switch {
	case v != v:
		return append(dst, `"NaN"`...)
	case v > 1.7976931348623157e308:
		return append(dst, `"Infinity"`...)
	case v < -1.7976931348623157e308:
		return append(dst, `"-Infinity"`...)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}
