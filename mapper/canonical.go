package mapper

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/shopspring/decimal"
)

// appendDecimal writes a decimal without trailing zeros, so that equal amounts give equal bytes whatever their scale.
func appendDecimal(buf, text []byte) []byte {
	if bytes.IndexByte(text, '.') >= 0 {
		text = bytes.TrimRight(text, "0")
		text = bytes.TrimSuffix(text, []byte("."))
	}
	if string(text) == "-0" {
		text = text[1:]
	}
	return append(buf, text...)
}

// appendValue writes a computed value as canonical JSON: object keys sorted, numbers exact.
func appendValue(buf []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(buf, "null"...), nil
	case string:
		return appendString(buf, v), nil
	case int:
		return strconv.AppendInt(buf, int64(v), 10), nil
	case bool:
		return strconv.AppendBool(buf, v), nil
	case decimal.Decimal:
		return appendDecimal(buf, []byte(v.String())), nil
	case json.Number:
		return append(buf, v...), nil
	case map[string]any:
		return appendObject(buf, v)
	case rowRef:
		m := make(map[string]any, len(v.rows.columns))
		for i, col := range v.rows.columns {
			value, err := boxed(v.rows, v.row, i)
			if err != nil {
				return buf, err
			}
			m[col.Name] = value
		}
		return appendObject(buf, m)
	}
	list, ok := listOf(v)
	if !ok {
		return buf, fmt.Errorf("the value has no JSON form")
	}
	buf = append(buf, '[')
	var err error
	for i, x := range list {
		if i > 0 {
			buf = append(buf, ',')
		}
		if buf, err = appendValue(buf, x); err != nil {
			return buf, err
		}
	}
	return append(buf, ']'), nil
}

func appendObject(buf []byte, m map[string]any) ([]byte, error) {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	buf = append(buf, '{')
	var err error
	for i, k := range keys {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(appendString(buf, k), ':')
		if buf, err = appendValue(buf, m[k]); err != nil {
			return buf, err
		}
	}
	return append(buf, '}'), nil
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string; only what JSON demands is escaped.
func appendString(buf []byte, s string) []byte {
	buf = append(buf, '"')
	from := 0
	for i := 0; i < len(s); {
		ch := s[i]
		if ch >= 0x20 && ch != '"' && ch != '\\' && ch < utf8.RuneSelf {
			i++
			continue
		}
		if ch >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				buf = append(append(buf, s[from:i]...), "\uFFFD"...)
				i++
				from = i
				continue
			}
			i += size
			continue
		}
		buf = append(buf, s[from:i]...)
		switch ch {
		case '"', '\\':
			buf = append(buf, '\\', ch)
		case '\n':
			buf = append(buf, '\\', 'n')
		case '\r':
			buf = append(buf, '\\', 'r')
		case '\t':
			buf = append(buf, '\\', 't')
		default:
			buf = append(buf, '\\', 'u', '0', '0', hexDigits[ch>>4], hexDigits[ch&15])
		}
		i++
		from = i
	}
	return append(append(buf, s[from:]...), '"')
}
