package nuorder

import (
	"context"
	"maps"
	"net/url"
	"strconv"
)

// pages reads a list page by page until a page brings nothing new. It trusts no page size: a portal may ignore the one asked for
// and answer all at once, or cut at a smaller one of its own. With the older signature form the list is asked for once, whole.
func pages[T any](ctx context.Context, c *Client, r *request, id func(*T) string) ([]T, error) {
	size := c.config.Dialect.PageSize
	if size <= 0 {
		var all []T
		err := c.fetch(ctx, r, &all)
		return all, err
	}
	var all []T
	seen := make(map[string]bool)
	query := make(url.Values)
	maps.Copy(query, r.query)
	query.Set("__limit", strconv.Itoa(size))
	for {
		next := *r
		next.query = query
		var page []T
		if err := c.fetch(ctx, &next, &page); err != nil {
			return nil, err
		}
		news, last := 0, ""
		for i := range page {
			last = id(&page[i])
			if last != "" && seen[last] {
				continue
			}
			seen[last] = true
			all = append(all, page[i])
			news++
		}
		if news == 0 || last == "" {
			return all, nil
		}
		query.Set("__last_id", last)
	}
}

// ids reads a bare array of ids.
func (c *Client) ids(ctx context.Context, r *request) ([]string, error) {
	texts, err := pages(ctx, c, r, func(t *Text) string { return string(*t) })
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(texts))
	for i, t := range texts {
		ids[i] = string(t)
	}
	return ids, nil
}
