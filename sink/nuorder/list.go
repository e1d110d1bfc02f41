package nuorder

import (
	"context"
	"maps"
	"net/url"
	"slices"
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

// documentsAtOnce is how many whole documents are asked for at once: a product with its sizes and stock takes some kilobytes. // I6
const documentsAtOnce = 250

// eachPage reads a list page by page and keeps none of it. As with pages, no page size is trusted: the list ends with a page that
// brings nothing that the page before it did not hold.
func eachPage[T any](ctx context.Context, c *Client, r *request, id func(*T) string, take func([]T) error) error {
	size := min(c.config.Dialect.PageSize, documentsAtOnce)
	query := make(url.Values)
	maps.Copy(query, r.query)
	if size > 0 {
		query.Set("__limit", strconv.Itoa(size))
	}
	before := map[string]bool{}
	for {
		next := *r
		next.query = query
		var page []T
		err := Patiently(ctx, func() error { page = nil; return c.fetch(ctx, &next, &page) })
		if err != nil {
			return err
		}
		whole := size <= 0 || len(page) > size // it came all at once, whatever was asked for
		now, last := make(map[string]bool, len(page)), ""
		news := slices.DeleteFunc(page, func(e T) bool {
			last = id(&e)
			now[last] = true
			return before[last]
		})
		if len(news) > 0 {
			if err := take(news); err != nil {
				return err
			}
		}
		if whole || len(news) == 0 || last == "" {
			return nil
		}
		before = now
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
