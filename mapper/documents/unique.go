package documents

import (
	"context"
	"fmt"
	"iter"
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

// Duplicates finds ids that several documents of a flow claim, at most a hundred of them. Ids that differ in case alone count as
// one, because NuORDER may fold case. It reads all documents, in batches, and keeps eight bytes of each; where it finds one it reads
// them a second time. Nothing is sent.
func Duplicates(ctx context.Context, db *pgxpool.Pool, m *mapper.Mapping, flow mapper.Flow, keys func() iter.Seq2[mapper.Key, error]) ([]Duplicate, error) {
	r, err := NewReader(db, func() *mapper.Mapping { return m }, Config{})
	if err != nil {
		return nil, err
	}
	seen, twice := map[uint64]struct{}{}, map[uint64]struct{}{}
	err = r.remoteKeys(ctx, m, flow, keys(), func(_ mapper.Key, remote string) {
		h := hash(strings.ToLower(remote))
		if _, again := seen[h]; again && len(twice) < maxDuplicates {
			twice[h] = struct{}{}
		}
		seen[h] = struct{}{}
	})
	if err != nil || len(twice) == 0 {
		return nil, err
	}
	clear(seen)
	at := map[string]int{}
	var out []Duplicate
	err = r.remoteKeys(ctx, m, flow, keys(), func(k mapper.Key, remote string) {
		folded := strings.ToLower(remote)
		if _, ok := twice[hash(folded)]; !ok {
			return
		}
		i, known := at[folded]
		if !known {
			i = len(out)
			at[folded] = i
			out = append(out, Duplicate{RemoteKey: remote})
		}
		if len(out[i].Keys) < maxDuplicates {
			out[i].Keys = append(out[i].Keys, k)
		}
	})
	kept := out[:0]
	for _, d := range out {
		if len(d.Keys) > 1 { // two ids may share a hash
			kept = append(kept, d)
		}
	}
	return kept, err
}

// remoteKeys gives the id of each document that the filter selects.
func (r *Reader) remoteKeys(ctx context.Context, m *mapper.Mapping, flow mapper.Flow, keys iter.Seq2[mapper.Key, error], each func(mapper.Key, string)) error {
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
			if !b.Filtered && b.RemoteKey != "" {
				each(x.Key, b.RemoteKey)
			}
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
