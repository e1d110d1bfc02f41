package main

import (
	"context"

	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/sink/nuorder"
)

// side is NuORDER as the documents of one flow need it.
type side interface {
	// each hands over all objects of the portal, page by page.
	each(ctx context.Context, page func([]storedObject) error) error
	// find reads the object of one document, nil if it is not there.
	find(ctx context.Context, object ledger.Object, name string) (*storedObject, error)
	// compare holds an object against a document's body.
	compare(ctx context.Context, body mapper.Body, object ledger.Object, stored *storedObject) (nuorder.Seen, error)
	// observe looks at a batch before it is compared.
	observe(list []*storedObject)
}

// storedObject is a product or a company of NuORDER, with our name for it. Only its side knows which.
type storedObject struct {
	name   string
	object any
}

// readable is a Remote whose objects can be read back as T.
type readable[T any] interface {
	Name(stored *T) string
	Each(ctx context.Context, page func([]T) error) error
	Find(ctx context.Context, object ledger.Object, name string) (*T, error)
	Compare(ctx context.Context, body mapper.Body, object ledger.Object, stored *T) (nuorder.Seen, error)
	Observe(stored []*T)
}

// sideOf is the side of a Remote.
type sideOf[T any] struct {
	remote readable[T]
}

func (s sideOf[T]) stored(p *T) storedObject { return storedObject{s.remote.Name(p), p} }

func (s sideOf[T]) each(ctx context.Context, page func([]storedObject) error) error {
	return s.remote.Each(ctx, func(list []T) error {
		objects := make([]storedObject, len(list))
		for i := range list {
			objects[i] = s.stored(&list[i])
		}
		return page(objects)
	})
}

func (s sideOf[T]) find(ctx context.Context, object ledger.Object, name string) (*storedObject, error) {
	p, err := s.remote.Find(ctx, object, name)
	if p == nil || err != nil {
		return nil, err
	}
	return new(s.stored(p)), nil
}

func (s sideOf[T]) compare(ctx context.Context, body mapper.Body, object ledger.Object, stored *storedObject) (nuorder.Seen, error) {
	return s.remote.Compare(ctx, body, object, stored.object.(*T))
}

func (s sideOf[T]) observe(list []*storedObject) {
	objects := make([]*T, len(list))
	for i, o := range list {
		objects[i] = o.object.(*T)
	}
	s.remote.Observe(objects)
}
