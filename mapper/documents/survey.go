package documents

import (
	"context"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/mapper"
)

// Duplicate is one id at NuORDER that several documents claim.
type Duplicate struct {
	RemoteKey string
	Keys      []mapper.Key
}

// String gives the sentence for the OMS administrator.
func (d Duplicate) String() string {
	keys := make([]string, len(d.Keys))
	for i, k := range d.Keys {
		keys[i] = string(k)
	}
	return fmt.Sprintf("the id %q is claimed by the documents %s: they would overwrite each other; make id: in the mapping unique", d.RemoteKey, strings.Join(keys, ", "))
}

// maxDuplicates bounds how many are listed.
const maxDuplicates = 100

// Broken counts the documents that break one rule of the remote at one place, and would be parked.
type Broken struct {
	// Field is the path in the body without the numbers of elements, Rule the rule's name.
	Field, Rule string
	Documents   int
	// Key is one of them, Text what is told of it.
	Key  mapper.Key
	Text string
}

// Survey is what a mapping makes of all documents of a flow.
type Survey struct {
	Flow mapper.Flow
	// Documents were read, Filtered of them are not selected, Parked break a rule.
	Documents, Filtered, Parked int
	// Broken are the rules that are broken, the most frequent first.
	Broken []Broken
	// Duplicates are ids that several documents claim, at most a hundred of them. Ids that differ in case alone count as one,
	// because NuORDER may fold case.
	Duplicates []Duplicate
}

// Look surveys all documents of a flow, in batches, and keeps eight bytes of each; where it finds an id twice it reads them a second
// time. Nothing is sent.
func Look(ctx context.Context, db *pgxpool.Pool, m *mapper.Mapping, flow mapper.Flow, keys func() iter.Seq2[mapper.Key, error]) (Survey, error) {
	out := Survey{Flow: flow}
	r, err := NewReader(db, func() *mapper.Mapping { return m }, Config{})
	if err != nil {
		return out, err
	}
	seen, twice := map[uint64]struct{}{}, map[uint64]struct{}{}
	broken := map[[2]string]int{}
	err = r.bodies(ctx, m, flow, keys(), func(b *mapper.Body) {
		out.Documents++
		if b.Filtered {
			out.Filtered++
			return
		}
		out.breaks(b, broken)
		if b.RemoteKey == "" {
			return
		}
		h := hash(strings.ToLower(b.RemoteKey))
		if _, again := seen[h]; again && len(twice) < maxDuplicates {
			twice[h] = struct{}{}
		}
		seen[h] = struct{}{}
	})
	slices.SortStableFunc(out.Broken, func(a, b Broken) int { return b.Documents - a.Documents })
	if err != nil || len(twice) == 0 {
		return out, err
	}
	clear(seen)
	at := map[string]int{}
	var all []Duplicate
	err = r.bodies(ctx, m, flow, keys(), func(b *mapper.Body) {
		folded := strings.ToLower(b.RemoteKey)
		if _, ok := twice[hash(folded)]; !ok || b.Filtered {
			return
		}
		i, known := at[folded]
		if !known {
			i = len(all)
			at[folded] = i
			all = append(all, Duplicate{RemoteKey: b.RemoteKey})
		}
		if len(all[i].Keys) < maxDuplicates {
			all[i].Keys = append(all[i].Keys, b.Key)
		}
	})
	for _, d := range all {
		if len(d.Keys) > 1 { // two ids may share a hash
			out.Duplicates = append(out.Duplicates, d)
		}
	}
	return out, err
}

var elementNumber = regexp.MustCompile(`\[\d+\]`)

// breaks counts the rules that a body breaks, each once.
func (s *Survey) breaks(b *mapper.Body, at map[[2]string]int) {
	if len(b.Violations) > 0 {
		s.Parked++
	}
	counted := map[int]bool{}
	for _, v := range b.Violations {
		id := [2]string{elementNumber.ReplaceAllString(v.Field, "[]"), v.Rule}
		i, known := at[id]
		if !known {
			i = len(s.Broken)
			at[id] = i
			s.Broken = append(s.Broken, Broken{Field: id[0], Rule: v.Rule, Key: b.Key, Text: v.Text})
		}
		if !counted[i] {
			s.Broken[i].Documents++
		}
		counted[i] = true
	}
}

// bodies gives the body of each document.
func (r *Reader) bodies(ctx context.Context, m *mapper.Mapping, flow mapper.Flow, keys iter.Seq2[mapper.Key, error], each func(*mapper.Body)) error {
	var wants []mapper.Want
	flush := func() error {
		reads, err := r.Read(ctx, flow, wants)
		if err != nil {
			return err
		}
		for _, x := range reads {
			b, err := m.Body(flow, x.Key, x.Document)
			if err != nil {
				return err
			}
			each(&b)
		}
		wants = wants[:0]
		return nil
	}
	for k, err := range keys {
		if err != nil {
			return fmt.Errorf("list documents of %s: %w", flow, err)
		}
		if wants = append(wants, mapper.Want{Key: k}); len(wants) == r.config.BatchKeys {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(wants) == 0 {
		return nil
	}
	return flush()
}
