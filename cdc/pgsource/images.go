package pgsource

import (
	"encoding/json"
	"fmt"
)

// images are the replica identities of rows that changed while a chunk was read, of a table whose old rows come without the
// key: only by them is a row of the chunk recognised.
type images struct {
	columns []int // of the replica identity
	labels  []string
	seen    map[string]struct{}
}

// add takes note of one side of a changed row.
func (im *images) add(rel *relation, cells []cell) {
	if len(cells) == 0 {
		return
	}
	if im.seen == nil {
		im.seen = map[string]struct{}{}
		for i, c := range rel.columns {
			if rel.identity[i] {
				im.columns, im.labels = append(im.columns, i), append(im.labels, c.name)
			}
		}
	}
	var image []byte
	for _, i := range im.columns {
		if i >= len(cells) || cells[i].kind != 't' {
			return
		}
		image = append(rel.columns[i].kind.append(image, cells[i].text), 0)
	}
	im.seen[string(image)] = struct{}{}
}

// prune takes the rows that changed out of a chunk.
func (im *images) prune(c *chunk) error {
	if len(im.seen) == 0 {
		return nil
	}
	kept := c.rows[:0]
	for _, row := range c.rows {
		var columns map[string]json.RawMessage
		if err := json.Unmarshal(c.arena[row.value:row.end], &columns); err != nil {
			return fmt.Errorf("look for changed rows in a chunk of %s: %w", c.topic, err)
		}
		var image []byte
		for _, name := range im.labels {
			image = append(append(image, columns[name]...), 0)
		}
		if _, changed := im.seen[string(image)]; !changed {
			kept = append(kept, row)
		}
	}
	c.rows = kept
	return nil
}
