package nuorder

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Company is a company as the portal stores it; what the view does not name stays in Raw.
type Company struct {
	ID     Text            `json:"_id"`
	Code   Text            `json:"code"`
	Name   Text            `json:"name"`
	Buyers []Buyer         `json:"buyers"`
	Raw    json.RawMessage `json:"-"`
}

// Buyer is a person who buys for a company.
type Buyer struct {
	Name        Text   `json:"name"`
	Email       Text   `json:"email"`
	Title       Text   `json:"title,omitempty"`
	PhoneOffice Text   `json:"phone_office,omitempty"`
	PhoneCell   Text   `json:"phone_cell,omitempty"`
	Reps        []Text `json:"reps,omitempty"` // e-mail addresses of sales reps
}

// UnmarshalJSON reads the view and keeps the whole.
func (p *Company) UnmarshalJSON(raw []byte) error {
	type view Company
	if err := decode(raw, (*view)(p)); err != nil {
		return err
	}
	p.Raw = append(json.RawMessage(nil), raw...)
	return nil
}

// UpsertCompany creates the company or, if the portal knows its code, updates it.
func (c *Client) UpsertCompany(ctx context.Context, body json.RawMessage) (Company, error) {
	var p Company
	err := c.fetch(ctx, &request{class: ClassCompanies, method: http.MethodPut, route: "company/new/force", body: body}, &p)
	return p, err
}

// CreateCompany creates the company; a known code is refused as a conflict that may name its _id.
func (c *Client) CreateCompany(ctx context.Context, body json.RawMessage) (Company, error) {
	var p Company
	err := c.fetch(ctx, &request{class: ClassCompanies, method: http.MethodPut, route: "company/new", body: body, once: true}, &p)
	return p, err
}

// UpdateCompany replaces what the body names of the company with this _id.
func (c *Client) UpdateCompany(ctx context.Context, id string, body json.RawMessage) (Company, error) {
	var p Company
	r := &request{class: ClassCompanies, method: http.MethodPost, route: "company/{id}", args: []string{id}, body: body}
	err := c.fetch(ctx, r, &p)
	return p, r.about(err, p.ID, id)
}

// UpdateCompanyByCode replaces what the body names of the company with this code.
func (c *Client) UpdateCompanyByCode(ctx context.Context, code string, body json.RawMessage) (Company, error) {
	var p Company
	err := c.fetch(ctx, &request{class: ClassCompanies, method: http.MethodPost, route: "company/code/{code}", args: []string{code}, body: body}, &p)
	return p, err
}

// Company reads one company by _id.
func (c *Client) Company(ctx context.Context, id string) (Company, error) {
	var p Company
	r := &request{class: ClassCompanies, method: http.MethodGet, route: "company/{id}", args: []string{id}}
	err := c.fetch(ctx, r, &p)
	return p, r.about(err, p.ID, id)
}

// CompanyByCode reads one company by code.
func (c *Client) CompanyByCode(ctx context.Context, code string) (Company, error) {
	var p Company
	r := &request{class: ClassCompanies, method: http.MethodGet, route: "company/code/{code}", args: []string{code}}
	err := c.fetch(ctx, r, &p)
	return p, r.about(err, p.Code, code)
}

// CompanyCodes lists the codes of all companies.
func (c *Client) CompanyCodes(ctx context.Context) ([]string, error) {
	var codes []string
	err := c.fetch(ctx, &request{class: ClassCompanies, method: http.MethodGet, route: "companies/codes/list", list: true}, &codes)
	return codes, err
}

// CompaniesModifiedAfter reads all companies modified after a day; the portal's clock counts in UTC.
func (c *Client) CompaniesModifiedAfter(ctx context.Context, day time.Time) ([]Company, error) {
	r := &request{class: ClassCompanies, method: http.MethodGet, route: "companies/modified/after/{mm}/{dd}/{yyyy}", args: dayParts(day), list: true}
	return pages(ctx, c, r, func(p *Company) string { return string(p.ID) })
}

// AddBuyer adds a buyer to the company with this code. One client's author reports that portals may refuse this and want it done
// by hand.
func (c *Client) AddBuyer(ctx context.Context, code string, b Buyer) error {
	body, err := encodeJSON(b)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, &request{class: ClassCompanies, method: http.MethodPut, route: "company/code/{code}/add/buyer", args: []string{code}, body: body, once: true})
	return err
}

// UpdateBuyer changes the buyer with this e-mail address.
func (c *Client) UpdateBuyer(ctx context.Context, code, email string, b Buyer) error {
	body, err := encodeJSON(b)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, &request{class: ClassCompanies, method: http.MethodPost, route: "company/code/{code}/update/buyer/{email}", args: []string{code, email}, body: body})
	return err
}

// RemoveBuyer removes the buyer with this e-mail address; one who is not there is removed already.
func (c *Client) RemoveBuyer(ctx context.Context, code, email string) error {
	_, err := c.do(ctx, &request{class: ClassCompanies, method: http.MethodDelete, route: "company/code/{code}/buyer/{email}", args: []string{code, email}})
	if IsNotFound(err) {
		return nil
	}
	return err
}

// RemoveBuyers removes all buyers of the company.
func (c *Client) RemoveBuyers(ctx context.Context, code string) error {
	_, err := c.do(ctx, &request{class: ClassCompanies, method: http.MethodDelete, route: "company/code/{code}/buyers", args: []string{code}})
	return err
}
