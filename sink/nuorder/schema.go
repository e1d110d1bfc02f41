package nuorder

import (
	"context"
	"encoding/json"
	"net/http"

	"nubridge/internal/fault"
)

// Schema is the portal's definition of the fields of one kind of document.
type Schema struct {
	ID     Text            `json:"_id"`
	Fields []SchemaField   `json:"fields"`
	Raw    json.RawMessage `json:"-"`
}

// SchemaField is one field; a key with a dot addresses a part, such as sizes.fit.
type SchemaField struct {
	Key      Text `json:"key"`
	Name     Text `json:"name"`
	Type     Text `json:"type"` // multi is an array of texts
	Required bool `json:"required"`
	Details  struct {
		AllowedValues []struct {
			Value Text `json:"value"`
		} `json:"allowed_values"`
	} `json:"details"`
}

// Allows tells whether the field takes the value; a field without a list takes any.
func (f *SchemaField) Allows(value string) bool {
	for _, v := range f.Details.AllowedValues {
		if string(v.Value) == value {
			return true
		}
	}
	return len(f.Details.AllowedValues) == 0
}

// UnmarshalJSON reads the view and keeps the whole.
func (s *Schema) UnmarshalJSON(raw []byte) error {
	type view Schema
	if err := decode(raw, (*view)(s)); err != nil {
		return err
	}
	s.Raw = append(json.RawMessage(nil), raw...)
	return nil
}

// Schema reads the definition of order, company or product documents.
func (c *Client) Schema(ctx context.Context, kind string) (Schema, error) {
	r := &request{class: ClassMeta, method: http.MethodGet, route: "schemas/{kind}", args: []string{kind}}
	var list []Schema
	if err := c.fetch(ctx, r, &list); err != nil {
		return Schema{}, err
	}
	if len(list) == 0 {
		return Schema{}, fault.New(fault.Reject, CodeNotFound, "%s: the portal has no schema of this kind", r.name())
	}
	return list[0], nil
}

// Ping makes the cheapest signed call there is, to prove address, credentials and clock.
func (c *Client) Ping(ctx context.Context) error {
	var any json.RawMessage
	return c.fetch(ctx, &request{class: ClassMeta, method: http.MethodGet, route: "schemas/{kind}", args: []string{"order"}}, &any)
}
