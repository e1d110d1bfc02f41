package mapper

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
)

// Sum is the fingerprint of all that decides what a flow's documents look like: its file with the overlay, the queries and look-up
// tables that it names, and the portal's demands. Where the documents depend on the present day, the day is part of it. Equal sums
// give equal bodies for equal rows; orders, which live their own life once they are sent, never depend on the day. The portal's
// warehouses are not in it: WarehousesSum.
func (m *Mapping) Sum(flow Flow) []byte {
	x := m.flows[flow]
	if x == nil {
		return nil
	}
	if !x.daily || x.today == nil || flow.Kind() == Order {
		return slices.Clone(x.sum)
	}
	day := sha256.Sum256(append(slices.Clone(x.sum), x.today()...))
	return day[:]
}

// WarehousesSum is the fingerprint of the portal's warehouses as far as a flow's documents name any, nil where they are not known or
// not named. Other warehouses alter no body: they only allow or forbid it.
func (m *Mapping) WarehousesSum(flow Flow) []byte {
	x := m.flows[flow]
	if x == nil {
		return nil
	}
	return slices.Clone(x.warehouses)
}

// summer hashes texts so that no two lists of texts look alike.
type summer struct{ hash.Hash }

func (s summer) text(texts ...string) {
	for _, t := range texts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(t)))
		s.Write(n[:])
		s.Write([]byte(t))
	}
}

func (s summer) node(n *Node) {
	if n == nil {
		s.text("nothing")
		return
	}
	s.text(string('0'+rune(n.Kind)), n.Text)
	if n.IsNull {
		s.text("null")
	}
	for i, k := range n.Keys {
		s.text(k.Text)
		s.node(n.Values[i])
	}
	for _, i := range n.Items {
		s.node(i)
	}
}

// Same tells whether two nodes say the same; places and comments do not count.
func Same(a, b *Node) bool {
	x, y := summer{sha256.New()}, summer{sha256.New()}
	x.node(a)
	y.node(b)
	return bytes.Equal(x.Sum(nil), y.Sum(nil))
}

// sum makes the fingerprint of one file.
func (x *flowFile) sum(portal *Portal) []byte {
	s := summer{sha256.New()}
	s.node(x.node)
	s.text(x.root.sql)
	for _, p := range x.parts {
		s.text(p.name, p.sql)
	}
	for _, r := range x.routes {
		if r.hop != nil {
			s.text(r.hop.sql)
		}
	}
	for _, name := range sortedLookups(x.lookups) {
		s.text(name)
		for _, k := range sortedKeys(x.lookups[name].entries) {
			s.text(k, x.lookups[name].entries[k])
		}
	}
	for _, f := range portal.of(x.file) {
		s.text(f.Key)
		if f.Required {
			s.text("required")
		}
		s.text(f.Allowed...)
	}
	return s.Sum(nil)
}

// warehousesSum makes the fingerprint of the warehouses that a file's documents may name.
func (x *flowFile) warehousesSum(portal *Portal) []byte {
	if portal == nil || portal.Warehouses == nil || len(warehousePaths(x.file)) == 0 {
		return nil
	}
	s := summer{sha256.New()}
	s.text(portal.Warehouses...)
	return s.Sum(nil)
}

func sortedLookups(m map[string]*lookup) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
