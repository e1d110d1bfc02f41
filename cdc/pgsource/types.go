package pgsource

// encoding is how a column's text becomes JSON.
type encoding byte

// The encodings. Their results equal Debezium's JSON converter under the settings that the package's page names.
const (
	encString encoding = iota
	encNumber          // the text is a JSON number
	encBool
	encFloat
	encNumeric
	encMoney
	encDate
	encTime
	encTimeTZ
	encTimestamp
	encTimestampTZ
	encInterval
	encBytea
	encBit  // one bit: a boolean
	encBits // several: bytes, the lowest first
	encHstore
	encPoint
	encLine
	encSegment
	encBox
	encPath
	encPolygon
	encCircle
	encOpaque // a type that Debezium does not know: its text in base64
	encArray
	encVector // int2vector, oidvector: numbers with spaces between
)

// OIDs of the types that every server has.
const (
	oidBool, oidBytea, oidChar, oidName, oidInt8, oidInt2, oidInt4, oidText, oidOID      = 16, 17, 18, 19, 20, 21, 23, 25, 26
	oidJSON, oidXML, oidPoint, oidLseg, oidPath, oidBox, oidPolygon, oidLine             = 114, 142, 600, 601, 602, 603, 604, 628
	oidCIDR, oidFloat4, oidFloat8, oidCircle, oidMacaddr8, oidMoney, oidMacaddr, oidInet = 650, 700, 701, 718, 774, 790, 829, 869
	oidBPChar, oidVarchar, oidDate, oidTime, oidTimestamp, oidTimestampTZ, oidInterval   = 1042, 1043, 1082, 1083, 1114, 1184, 1186
	oidTimeTZ, oidBit, oidVarbit, oidNumeric, oidUUID, oidTSVector, oidJSONB             = 1266, 1560, 1562, 1700, 2950, 3614, 3802
	oidInt2Vector, oidOIDVector                                                          = 22, 30
	oidInt4Range, oidNumRange, oidTSRange, oidTSTZRange, oidDateRange, oidInt8Range      = 3904, 3906, 3908, 3910, 3912, 3926
)

// builtin gives the encoding of a built-in scalar type.
func builtin(oid uint32) (encoding, bool) {
	switch oid {
	case oidBool:
		return encBool, true
	case oidInt2, oidInt4, oidInt8, oidOID:
		return encNumber, true
	case oidFloat4, oidFloat8:
		return encFloat, true
	case oidNumeric:
		return encNumeric, true
	case oidMoney:
		return encMoney, true
	case oidBytea:
		return encBytea, true
	case oidDate:
		return encDate, true
	case oidTime:
		return encTime, true
	case oidTimeTZ:
		return encTimeTZ, true
	case oidTimestamp:
		return encTimestamp, true
	case oidTimestampTZ:
		return encTimestampTZ, true
	case oidInterval:
		return encInterval, true
	case oidBit, oidVarbit:
		return encBits, true
	case oidInt2Vector, oidOIDVector:
		return encVector, true
	case oidPoint:
		return encPoint, true
	case oidLine:
		return encLine, true
	case oidLseg:
		return encSegment, true
	case oidBox:
		return encBox, true
	case oidPath:
		return encPath, true
	case oidPolygon:
		return encPolygon, true
	case oidCircle:
		return encCircle, true
	case oidChar, oidName, oidText, oidBPChar, oidVarchar, oidJSON, oidJSONB, oidXML, oidUUID, oidCIDR, oidInet, oidMacaddr,
		oidMacaddr8, oidTSVector, oidInt4Range, oidNumRange, oidTSRange, oidTSTZRange, oidDateRange, oidInt8Range:
		return encString, true
	}
	return encOpaque, false
}

// builtinElement gives the element type of a built-in array type.
func builtinElement(oid uint32) (uint32, bool) {
	switch oid {
	case 1000:
		return oidBool, true
	case 1001:
		return oidBytea, true
	case 1002:
		return oidChar, true
	case 1003:
		return oidName, true
	case 1005:
		return oidInt2, true
	case 1007:
		return oidInt4, true
	case 1009:
		return oidText, true
	case 1014:
		return oidBPChar, true
	case 1015:
		return oidVarchar, true
	case 1016:
		return oidInt8, true
	case 1021:
		return oidFloat4, true
	case 1022:
		return oidFloat8, true
	case 1028:
		return oidOID, true
	case 1115:
		return oidTimestamp, true
	case 1182:
		return oidDate, true
	case 1183:
		return oidTime, true
	case 1185:
		return oidTimestampTZ, true
	case 1231:
		return oidNumeric, true
	case 2951:
		return oidUUID, true
	case 199:
		return oidJSON, true
	case 3807:
		return oidJSONB, true
	}
	return 0, false
}

// kind is what is known of a column's type.
type kind struct {
	enc  encoding
	elem encoding // of the elements of an array
	mod  int32
}

// typeFacts is what the catalog says of a type that is not built in.
type typeFacts struct {
	OID     uint32 `json:"oid"`
	Name    string `json:"name"`
	Type    string `json:"type"` // b base, c composite, d domain, e enum, r range, m multirange
	Base    uint32 `json:"base,omitempty"`
	BaseMod int32  `json:"base_mod,omitempty"`
	Elem    uint32 `json:"elem,omitempty"` // of a true array
}

// resolveKind decides how to encode a column. lookup finds types that are not built in.
func resolveKind(oid uint32, mod int32, lookup func(uint32) (typeFacts, error)) (kind, error) {
	for range 32 { // domains over domains
		if enc, ok := builtin(oid); ok {
			if enc == encBits && mod == 1 {
				enc = encBit
			}
			return kind{enc: enc, mod: mod}, nil
		}
		elem, isArray := builtinElement(oid)
		if isArray {
			k, err := resolveKind(elem, mod, lookup)
			return kind{enc: encArray, elem: k.enc, mod: mod}, err
		}
		facts, err := lookup(oid)
		if err != nil {
			return kind{}, err
		}
		switch {
		case facts.Type == "d":
			oid = facts.Base
			if facts.BaseMod >= 0 {
				mod = facts.BaseMod
			}
			continue
		case facts.Elem != 0:
			k, err := resolveElement(facts.Elem, mod, lookup)
			return kind{enc: encArray, elem: k.enc, mod: mod}, err
		case facts.Type == "e":
			return kind{enc: encString}, nil
		}
		switch facts.Name {
		case "hstore":
			return kind{enc: encHstore}, nil
		case "citext", "ltree", "isbn":
			return kind{enc: encString}, nil
		}
		return kind{enc: encOpaque}, nil
	}
	return kind{enc: encOpaque}, nil
}

// resolveElement is resolveKind for elements of arrays: Debezium takes a domain there for a type that it does not know.
func resolveElement(oid uint32, mod int32, lookup func(uint32) (typeFacts, error)) (kind, error) {
	if oid == oidInt2Vector || oid == oidOIDVector {
		return kind{enc: encOpaque}, nil
	}
	if _, ok := builtin(oid); !ok {
		facts, err := lookup(oid)
		if err != nil {
			return kind{}, err
		}
		if facts.Type == "d" {
			return kind{enc: encOpaque}, nil
		}
	}
	return resolveKind(oid, mod, lookup)
}
