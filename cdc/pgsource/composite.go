package pgsource

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
)

// appendArray turns PostgreSQL's array text into a JSON array; several dimensions nest.
func appendArray(dst, text []byte, elem kind) []byte {
	if len(text) > 0 && text[0] == '[' { // explicit bounds: [5:6]={1,2}
		if _, after, ok := bytes.Cut(text, []byte("=")); ok {
			text = after
		}
	}
	delimiter := byte(',')
	if elem.enc == encBox {
		delimiter = ';'
	}
	var scratch []byte
	depth, fresh := 0, true
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case '{':
			if !fresh {
				dst = append(dst, ',')
			}
			dst = append(dst, '[')
			depth, fresh = depth+1, true
			i++
		case '}':
			dst = append(dst, ']')
			depth, fresh = depth-1, false
			i++
		case delimiter:
			i++
		default:
			if !fresh {
				dst = append(dst, ',')
			}
			fresh = false
			var value []byte
			quoted := c == '"'
			value, scratch, i = arrayElement(text, scratch, i, delimiter)
			if !quoted && len(value) == 4 && bytes.EqualFold(value, []byte("NULL")) {
				dst = append(dst, "null"...)
				continue
			}
			dst = elem.append(dst, value)
		}
	}
	for ; depth > 0; depth-- {
		dst = append(dst, ']')
	}
	return dst
}

// arrayElement reads one element from i; it gives the element, the scratch space and where it ends.
func arrayElement(text, scratch []byte, i int, delimiter byte) ([]byte, []byte, int) {
	if text[i] != '"' {
		start := i
		for i < len(text) && text[i] != delimiter && text[i] != '}' && text[i] != '{' {
			if text[i] == '\\' {
				i++
			}
			i++
		}
		i = min(i, len(text))
		return text[start:i], scratch, max(i, start+1)
	}
	scratch = scratch[:0]
	for i++; i < len(text) && text[i] != '"'; i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
		}
		scratch = append(scratch, text[i])
	}
	return scratch, scratch, min(i+1, len(text))
}

// appendHstore turns hstore's text into a JSON string that holds a JSON object, as Debezium's json mode does.
func appendHstore(dst, text []byte) []byte {
	object := append(make([]byte, 0, len(text)+2), '{')
	var word []byte
	value := false
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			word = word[:0]
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' && i+1 < len(text) {
					i++
				}
				word = append(word, text[i])
			}
			i++
			if !value && len(object) > 1 {
				object = append(object, ',')
			}
			object = appendString(object, word)
		case bytes.HasPrefix(text[i:], []byte("=>")):
			object = append(object, ':')
			value = true
			i += 2
		case c == ',':
			value = false
			i++
		case bytes.HasPrefix(text[i:], []byte("NULL")):
			object = append(object, "null"...)
			i += 4
		default:
			i++
		}
	}
	return appendString(dst, append(object, '}'))
}

// numbersIn reads all floats of a geometric value's text, in order.
func numbersIn(text []byte) []float64 {
	var out []float64
	for len(text) > 0 {
		n := bytes.IndexAny(text, "(){}[]<>,")
		word := text
		if n >= 0 {
			word, text = text[:n], text[n+1:]
		} else {
			text = nil
		}
		if len(word) == 0 {
			continue
		}
		v, err := strconv.ParseFloat(string(word), 64)
		if err != nil && v == 0 {
			continue
		}
		out = append(out, v)
	}
	return out
}

// appendGeometry turns a geometric value into Debezium's structure for it.
func appendGeometry(dst, text []byte, enc encoding) []byte {
	v := numbersIn(text)
	switch {
	case enc == encPoint && len(v) == 2:
		return appendPoint(dst, v)
	case enc == encLine && len(v) == 3:
		dst = appendFloat(append(dst, `{"a":`...), v[0])
		dst = appendFloat(append(dst, `,"b":`...), v[1])
		dst = appendFloat(append(dst, `,"c":`...), v[2])
		return append(dst, '}')
	case enc == encCircle && len(v) == 3:
		dst = appendPoint(append(dst, `{"center":`...), v[:2])
		dst = appendFloat(append(dst, `,"radius":`...), v[2])
		return append(dst, '}')
	case enc == encSegment && len(v) == 4:
		return appendShape(dst, lineString(v), `{"type":"lseg"}`)
	case enc == encBox && len(v) == 4:
		x1, y1, x2, y2 := v[0], v[1], v[2], v[3]
		return appendShape(dst, polygon([]float64{x1, y1, x1, y2, x2, y2, x2, y1, x1, y1}), `{"type":"box"}`)
	case enc == encPath && len(text) > 0 && len(v)%2 == 0:
		closed := "true"
		if text[0] == '[' {
			closed = "false"
		}
		return appendShape(dst, lineString(v), `{"type":"path","closed":"`+closed+`"}`)
	case enc == encPolygon && len(v) >= 2 && len(v)%2 == 0:
		if n := len(v); v[0] != v[n-2] || v[1] != v[n-1] {
			v = append(v, v[0], v[1])
		}
		return appendShape(dst, polygon(v), `{"type":"polygon"}`)
	}
	return appendString(dst, text)
}

func appendPoint(dst []byte, v []float64) []byte {
	dst = appendFloat(append(dst, `{"x":`...), v[0])
	dst = appendFloat(append(dst, `,"y":`...), v[1])
	dst = append(dst, `,"wkb":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, floats([]byte{1, 1, 0, 0, 0}, v))
	return append(dst, `","srid":null}`...)
}

func appendShape(dst, wkb []byte, extensions string) []byte {
	dst = append(dst, `{"wkb":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, wkb)
	dst = append(dst, `","srid":null,"extensions":`...)
	dst = append(dst, extensions...)
	return append(dst, '}')
}

// lineString and polygon give well-known binary, lowest byte first.
func lineString(v []float64) []byte {
	wkb := binary.LittleEndian.AppendUint32([]byte{1, 2, 0, 0, 0}, uint32(len(v)/2))
	return floats(wkb, v)
}

func polygon(v []float64) []byte {
	wkb := binary.LittleEndian.AppendUint32([]byte{1, 3, 0, 0, 0}, 1)
	wkb = binary.LittleEndian.AppendUint32(wkb, uint32(len(v)/2))
	return floats(wkb, v)
}

func floats(dst []byte, v []float64) []byte {
	const nan = 0x7ff8000000000000 // the one that Java writes
	for _, f := range v {
		if f != f {
			dst = binary.LittleEndian.AppendUint64(dst, nan)
			continue
		}
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
	}
	return dst
}
