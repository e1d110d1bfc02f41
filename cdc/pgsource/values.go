package pgsource

import (
	"bytes"

	"nubridge/cdc"
)

// unavailable is what a value of the encoding becomes when the log did not carry it.
func (k kind) unavailable() string {
	const text, base64 = `"` + cdc.UnavailableValue + `"`, `"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="`
	switch k.enc {
	case encArray:
		return "[" + text + "]"
	case encBytea, encBits, encOpaque:
		return base64
	case encHstore:
		return `"{\"` + cdc.UnavailableValue + `\":\"` + cdc.UnavailableValue + `\"}"`
	}
	return text
}

// append appends the JSON of a value that is not NULL. Text that is not what the type promises becomes a JSON string.
func (k kind) append(dst, text []byte) []byte {
	switch k.enc {
	case encString:
		return appendString(dst, text)
	case encNumeric, encDate, encTime, encTimeTZ, encTimestamp, encTimestampTZ, encInterval:
		if !tame(text) {
			return appendString(dst, text)
		}
		return k.appendTame(dst, text)
	case encNumber:
		return append(dst, text...)
	case encBool:
		if len(text) > 0 && text[0] == 't' {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case encFloat:
		return appendFloatText(dst, text)
	case encMoney:
		return appendMoney(dst, text, int(max(k.mod, 0)))
	case encBytea:
		return appendBytea(dst, text)
	case encBit:
		if len(text) == 0 { // of varbit(1)
			return append(dst, "null"...)
		}
		return kind{enc: encBool}.append(dst, bytes.ReplaceAll(text, []byte("1"), []byte("t")))
	case encBits:
		return appendBits(dst, text)
	case encHstore:
		return appendHstore(dst, text)
	case encArray:
		return appendArray(dst, text, kind{enc: k.elem, mod: k.mod})
	case encVector:
		dst = append(dst, '[')
		dst = append(dst, bytes.ReplaceAll(text, []byte(" "), []byte(","))...)
		return append(dst, ']')
	case encOpaque:
		return appendBase64(dst, text)
	}
	return appendGeometry(dst, text, k.enc)
}

// tame tells whether text can stand in a JSON string as it is, as numbers and times of the server can.
func tame(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// appendTame appends a number or time.
func (k kind) appendTame(dst, text []byte) []byte {
	switch k.enc {
	case encNumeric:
		return appendNumeric(dst, text)
	case encDate:
		return appendDate(dst, text)
	case encTime:
		dst = append(dst, '"')
		dst = append(dst, text...)
		return append(dst, 'Z', '"')
	case encTimeTZ:
		return appendTimeTZ(dst, text)
	case encTimestamp:
		return appendTimestamp(dst, text)
	case encTimestampTZ:
		return appendTimestampTZ(dst, text, k.mod)
	case encInterval:
		return appendInterval(dst, text)
	}
	return appendString(dst, text)
}

// appendFloatText appends PostgreSQL's shortest form of a float.
func appendFloatText(dst, text []byte) []byte {
	if len(text) == 0 {
		return append(dst, "null"...)
	}
	if c := text[len(text)-1]; c >= '0' && c <= '9' {
		return append(dst, text...)
	}
	return appendString(dst, text) // NaN, Infinity, -Infinity
}

// appendNumeric appends a numeric as text, with Debezium's names for what is no number.
func appendNumeric(dst, text []byte) []byte {
	dst = append(dst, '"')
	if n := len(text); n > 0 && text[n-1] > '9' {
		switch string(text) {
		case "NaN":
			return append(dst, `NAN"`...)
		case "Infinity":
			return append(dst, `POSITIVE_INFINITY"`...)
		case "-Infinity":
			return append(dst, `NEGATIVE_INFINITY"`...)
		}
		return appendString(dst[:len(dst)-1], text)
	}
	dst = append(dst, text...)
	return append(dst, '"')
}

// appendMoney drops sign of currency and separators of thousands, which lc_monetary of the session keeps plain. There the text
// has two digits behind the point; the database's own money has as many as its currency.
func appendMoney(dst, text []byte, cents int) []byte {
	dst = append(dst, '"')
	start := len(dst)
	for _, c := range text {
		if c >= '0' && c <= '9' || c == '.' && cents == 2 || c == '-' {
			dst = append(dst, c)
		} else if c == '(' {
			dst = append(dst, '-')
		}
	}
	if cents != 2 {
		dst = movePoint(dst, start, cents)
	}
	return append(dst, '"')
}

// movePoint gives a number from start on, of hundredths, so many digits behind the point.
func movePoint(dst []byte, start, cents int) []byte {
	if start < len(dst) && dst[start] == '-' {
		start++
	}
	whole := bytes.TrimLeft(dst[start:], "0")
	digits := append(bytes.Repeat([]byte("0"), max(0, cents+1-len(whole))), whole...)
	dst = append(dst[:start], digits[:len(digits)-cents]...)
	if cents > 0 {
		dst = append(append(dst, '.'), digits[len(digits)-cents:]...)
	}
	return dst
}

// appendDateText appends the date part of PostgreSQL's ISO text in ISO 8601: years before 1 are counted from zero down,
// years over 9999 have a plus sign.
func appendDateText(dst, date []byte, bc bool) []byte {
	year := bytes.IndexByte(date, '-')
	if year < 0 {
		return append(dst, date...)
	}
	if bc {
		n := 0
		for _, c := range date[:year] {
			n = n*10 + int(c-'0')
		}
		n--
		if n > 0 {
			dst = append(dst, '-')
		}
		digits := [10]byte{'0', '0', '0', '0', '0', '0', '0', '0', '0', '0'}
		i := len(digits)
		for ; n > 0; n /= 10 {
			i--
			digits[i] = byte('0' + n%10)
		}
		dst = append(dst, digits[min(i, len(digits)-4):]...)
		return append(dst, date[year:]...)
	}
	if year > 4 {
		dst = append(dst, '+')
	}
	return append(dst, date...)
}

// cutBC takes the era off PostgreSQL's text.
func cutBC(text []byte) ([]byte, bool) {
	return bytes.CutSuffix(text, []byte(" BC"))
}

func appendDate(dst, text []byte) []byte {
	switch {
	case len(text) == 0:
		return append(dst, "null"...)
	case text[0] == 'i':
		return append(dst, `"+5877611-06-21Z"`...)
	case text[0] == '-':
		return append(dst, `"-5877611-06-22Z"`...)
	}
	dst = append(dst, '"')
	text, bc := cutBC(text)
	dst = appendDateText(dst, text, bc)
	return append(dst, 'Z', '"')
}

func appendTimestamp(dst, text []byte) []byte {
	switch {
	case len(text) == 0:
		return append(dst, "null"...)
	case text[0] == 'i':
		return append(dst, `"+292278994-08-16T23:00:00Z"`...)
	case text[0] == '-':
		return append(dst, `"-292275055-05-16T23:00:00Z"`...)
	}
	dst = append(dst, '"')
	text, bc := cutBC(text)
	date, clock, _ := bytes.Cut(text, []byte(" "))
	dst = appendDateText(dst, date, bc)
	dst = append(dst, 'T')
	dst = append(dst, clock...)
	return append(dst, 'Z', '"')
}

// appendTimestampTZ takes text in UTC, as the session asks for it, and pads the fraction to the column's precision.
func appendTimestampTZ(dst, text []byte, mod int32) []byte {
	if len(text) == 0 || text[0] == 'i' || text[0] == '-' {
		return appendString(dst, text)
	}
	dst = append(dst, '"')
	text, bc := cutBC(text)
	date, clock, _ := bytes.Cut(text, []byte(" "))
	clock = bytes.TrimSuffix(clock, []byte("+00"))
	dst = appendDateText(dst, date, bc)
	dst = append(dst, 'T')
	dst = append(dst, clock...)
	digits := 6
	if mod >= 0 && mod < 6 {
		digits = int(mod)
	}
	have := 0
	if dot := bytes.IndexByte(clock, '.'); dot >= 0 {
		have = len(clock) - dot - 1
	} else if digits > 0 {
		dst = append(dst, '.')
	}
	for ; have < digits; have++ {
		dst = append(dst, '0')
	}
	return append(dst, 'Z', '"')
}

// appendTimeTZ turns a time with zone into UTC, within the day.
func appendTimeTZ(dst, text []byte) []byte {
	sign := bytes.LastIndexAny(text, "+-")
	if sign < 8 {
		return appendString(dst, text)
	}
	clock, zone := text[:sign], text[sign+1:]
	offset := clockSeconds(zone)
	if text[sign] == '-' {
		offset = -offset
	}
	if offset == 0 {
		dst = append(append(dst, '"'), clock...)
		return append(dst, 'Z', '"')
	}
	s := ((clockSeconds(clock[:8])-offset)%86400 + 86400) % 86400
	dst = append(dst, '"')
	dst = appendClock(dst, s)
	dst = append(dst, clock[8:]...)
	return append(dst, 'Z', '"')
}

// clockSeconds reads hh, hh:mm or hh:mm:ss.
func clockSeconds(text []byte) int {
	total, part, unit := 0, 0, 3600
	for _, c := range text {
		if c == ':' {
			total += part * unit
			part, unit = 0, unit/60
			continue
		}
		part = part*10 + int(c-'0')
	}
	return total + part*unit
}

func appendClock(dst []byte, s int) []byte {
	two := func(v int) { dst = append(dst, byte('0'+v/10), byte('0'+v%10)) }
	two(s / 3600)
	dst = append(dst, ':')
	two(s / 60 % 60)
	dst = append(dst, ':')
	two(s % 60)
	return dst
}

// appendInterval turns PostgreSQL's iso_8601 style into the one with every field.
func appendInterval(dst, text []byte) []byte {
	if len(text) == 0 || text[0] != 'P' {
		return appendString(dst, text)
	}
	var date, clock [3][]byte // years, months, days; hours, minutes, seconds
	fields, start := &date, 1
	for i := 1; i < len(text); i++ {
		var at int
		switch text[i] {
		case 'T':
			fields, start = &clock, i+1
			continue
		case 'Y', 'H':
			at = 0
		case 'M':
			at = 1
		case 'D', 'S':
			at = 2
		default:
			continue
		}
		fields[at], start = text[start:i], i+1
	}
	dst = append(dst, '"', 'P')
	for i, f := range [...]struct {
		value []byte
		unit  string
	}{{date[0], "Y"}, {date[1], "M"}, {date[2], "DT"}, {clock[0], "H"}, {clock[1], "M"}, {clock[2], "S"}} {
		if len(f.value) == 0 {
			dst = append(dst, '0')
		} else if i == 5 && bytes.IndexByte(f.value, '.') >= 0 {
			dst = append(dst, bytes.TrimRight(f.value, "0")...)
		} else {
			dst = append(dst, f.value...)
		}
		dst = append(dst, f.unit...)
	}
	return append(dst, '"')
}

// appendBytea turns \x hexadecimal text into base64.
func appendBytea(dst, text []byte) []byte {
	if len(text) < 2 || text[0] != '\\' || text[1] != 'x' {
		return appendBase64(dst, text)
	}
	text = text[2:]
	dst = append(dst, '"')
	for len(text) >= 6 {
		a, b, c := hexByte(text), hexByte(text[2:]), hexByte(text[4:])
		dst = append(dst, base64Digits[a>>2], base64Digits[a&3<<4|b>>4], base64Digits[b&15<<2|c>>6], base64Digits[c&63])
		text = text[6:]
	}
	switch len(text) / 2 {
	case 1:
		a := hexByte(text)
		dst = append(dst, base64Digits[a>>2], base64Digits[a&3<<4], '=', '=')
	case 2:
		a, b := hexByte(text), hexByte(text[2:])
		dst = append(dst, base64Digits[a>>2], base64Digits[a&3<<4|b>>4], base64Digits[b&15<<2], '=')
	}
	return append(dst, '"')
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

func hexByte(text []byte) byte { return hexDigit(text[0])<<4 | hexDigit(text[1]) }

func hexDigit(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// appendBits turns a bit string into bytes, the lowest first and without zero bytes at the end.
func appendBits(dst, text []byte) []byte {
	n := len(text)
	var small [32]byte
	out := small[:0]
	for end := n; end > 0; end -= 8 {
		var b byte
		for _, c := range text[max(0, end-8):end] {
			b = b<<1 | c&1
		}
		out = append(out, b)
	}
	for len(out) > 0 && out[len(out)-1] == 0 {
		out = out[:len(out)-1]
	}
	return appendBase64(dst, out)
}
