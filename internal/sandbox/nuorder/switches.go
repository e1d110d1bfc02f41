package nuorder

import (
	"errors"
	"fmt"
	"slices"
)

// Switches decide every point that is not known of the original. The default of each is what the evidence favours; where there
// is none, what is harder for a client.
type Switches struct {
	// Signatures is which family is accepted: "both", "S" (RFC 5849) or "L" (legacy).
	Signatures string `json:"signatures"`
	// LegacyQuery is what a query does to a legacy signature: "refuse" (401 whatever is signed), "inside" (it is part of the
	// signed URL) or "outside" (it is not signed).
	LegacyQuery string `json:"legacy_query"`
	// RequireQuotes refuses an Authorization header whose values are not quoted.
	RequireQuotes bool `json:"require_quotes"`
	// SignedApplicationName is whether application_name counts in an RFC 5849 handshake: "either", "yes" or "no".
	SignedApplicationName string `json:"signed_application_name"`
	// NonceLength is the only length of nonce accepted; 0 means any.
	NonceLength int `json:"nonce_length"`
	// ClockWindow is how far a timestamp may be from the server's clock.
	ClockWindow Duration `json:"clock_window"`

	// Arrays is what an order update does with line_items and shipments: "replace" or "merge". Merging matches lines by id, or by
	// product and warehouse, and shipments by _id or a common tracking number; a size of quantity 0 is then taken out.
	Arrays string `json:"arrays"`
	// ProductUpdate and CompanyUpdate are what an update does with fields that are not sent: "merge" keeps, "replace" empties them.
	ProductUpdate string `json:"product_update"`
	CompanyUpdate string `json:"company_update"`
	// UpdateVerbs are the methods that update: POST, PUT or both.
	UpdateVerbs []string `json:"update_verbs"`
	// StatusVerbs are the methods that set a status: POST, PUT or both.
	StatusVerbs []string `json:"status_verbs"`
	// StatusWords is how a status is named in a path: "status" (processed), "action" (process) or "both".
	StatusWords string `json:"status_words"`
	// StatusForms is where a status is named: "path" (/order/{id}/processed), "body" (/order/{id}/status) or "both".
	StatusForms string `json:"status_forms"`
	// NumberPath is how an order is updated by number: "number" (/order/number/{n}), "bare" (/order/{n}) or "both".
	NumberPath string `json:"number_path"`
	// Shipments is where they are written: "inside" the order's body, or by their "own" call (/order/{id}/shipments).
	Shipments string `json:"shipments"`
	// ShipmentTypes and ShipmentStatuses are the words accepted; empty accepts any.
	ShipmentTypes    []string `json:"shipment_types"`
	ShipmentStatuses []string `json:"shipment_statuses"`
	// SameStatus is what a status change answers that changes nothing: 304 or 200.
	SameStatus int `json:"same_status"`
	// RefuseStatus names changes refused with 400, as "approved>processed"; "*" stands for any status.
	RefuseStatus []string `json:"refuse_status"`

	// Case is what storing a product does: "keep", or "fold" (brand_id and name to lower, style_number to upper case).
	Case string `json:"case"`
	// PathCase is how ids in paths are compared: "exact" or "folded".
	PathCase string `json:"path_case"`
	// ListLag is how long an order takes to appear in a status list after entering the status.
	ListLag Duration `json:"list_lag"`
	// ListLagCalls is from how many reads of a list an order is left out after entering the status.
	ListLagCalls int `json:"list_lag_calls"`
	// DatesIn are the forms accepted outside v3.0: "dash" (2026-01-31), "slash" (2026/01/31), "us" (01/31/2026), "iso".
	DatesIn []string `json:"dates_in"`
	// WIPDates are the forms accepted as the name of a delivery in the classic inventory body; same words as DatesIn.
	WIPDates []string `json:"wip_dates"`
	// DatesOut is how dates are answered outside v3.0: "iso" or "epoch" (milliseconds).
	DatesOut string `json:"dates_out"`
	// Inventory is which calls exist: "classic", "v3" or "both".
	Inventory string `json:"inventory"`
	// ClassicAnswer is what a classic inventory write answers: "success" ({"success":true}) or "array" (what is stored).
	ClassicAnswer string `json:"classic_answer"`
	// Pagination of lists: "off" ignores __limit and __last_id, "asked" honours them, "forced" also cuts at PageSize unasked.
	Pagination string `json:"pagination"`
	// PageSize is the cut of "forced" and the cap of __limit.
	PageSize int `json:"page_size"`

	// UnknownFields is what happens to fields neither known nor in the portal's schema: "keep", "drop" or "refuse".
	UnknownFields string `json:"unknown_fields"`
	// Schema enforces required fields and allowed values of the portal's schema.
	Schema bool `json:"schema"`
	// NumbersAsText accepts prices and quantities sent as text.
	NumbersAsText bool `json:"numbers_as_text"`
	// ZeroQuantity and ZeroPrice are what an order line by API with such a figure meets: "refuse" or "accept".
	ZeroQuantity string `json:"zero_quantity"`
	ZeroPrice    string `json:"zero_price"`
	// BelowShipped is what an order update meets that leaves less ordered than shipped: "accept" or "refuse".
	BelowShipped string `json:"below_shipped"`
	// RequireBuyerEmail, RequireExternalID and RequireLineDates are fields of an order that some clients take as required.
	RequireBuyerEmail bool `json:"require_buyer_email"`
	RequireExternalID bool `json:"require_external_id"`
	RequireLineDates  bool `json:"require_line_dates"`
	// OrderDates is how the order-level dates are named in a body: "either", "ship_start" or "start_ship".
	OrderDates string `json:"order_dates"`
	// CancelledLocked refuses updates of cancelled orders by API.
	CancelledLocked bool `json:"cancelled_locked"`
	// BuyerCreate is whether buyers can be created by API: "works", or "broken" (500).
	BuyerCreate string `json:"buyer_create"`
	// SizePricing keeps prices per size; otherwise they are dropped without a word.
	SizePricing bool `json:"size_pricing"`

	// FreezeModified leaves modified_on alone when only the status changes.
	FreezeModified bool `json:"freeze_modified"`
	// UnstableKeys shuffles the keys of every object answered.
	UnstableKeys bool `json:"unstable_keys"`
	// ConditionalGet answers 304 to If-None-Match.
	ConditionalGet bool `json:"conditional_get"`
	// DecrementOnSubmit takes stock when a user submits an order; prebook lines never take any.
	DecrementOnSubmit bool `json:"decrement_on_submit"`
	// DecrementOnAPI takes stock also for orders created by API.
	DecrementOnAPI bool `json:"decrement_on_api"`
	// GiveBackOnCancel returns stock when an order is cancelled or rejected.
	GiveBackOnCancel bool `json:"give_back_on_cancel"`
}

// DefaultSwitches are the positions in which the sandbox starts.
func DefaultSwitches() Switches {
	return Switches{
		Signatures: "both", LegacyQuery: "refuse", RequireQuotes: true, SignedApplicationName: "either",
		ClockWindow: Duration(5 * 60 * 1e9),
		Arrays:      "replace", ProductUpdate: "merge", CompanyUpdate: "merge",
		UpdateVerbs: []string{"POST"}, StatusVerbs: []string{"POST", "PUT"}, StatusWords: "both", StatusForms: "both",
		NumberPath: "number", Shipments: "inside", SameStatus: 304,
		Case: "keep", PathCase: "exact",
		DatesIn: []string{"dash", "slash"}, WIPDates: []string{"us"}, DatesOut: "iso",
		Inventory: "both", ClassicAnswer: "success", Pagination: "asked", PageSize: 500,
		UnknownFields: "keep", Schema: true,
		ZeroQuantity: "refuse", ZeroPrice: "refuse", BelowShipped: "accept",
		RequireExternalID: true, RequireLineDates: true, OrderDates: "either", BuyerCreate: "works", SizePricing: true,
		FreezeModified: true, UnstableKeys: true, ConditionalGet: true, DecrementOnSubmit: true, GiveBackOnCancel: true,
	}
}

// LenientSwitches accept whatever any client was ever seen to send; where the default refuses, they do not.
func LenientSwitches() Switches {
	s := DefaultSwitches()
	s.LegacyQuery, s.RequireQuotes = "outside", false
	s.UpdateVerbs, s.NumberPath, s.PathCase = []string{"POST", "PUT"}, "both", "folded"
	s.DatesIn, s.WIPDates = []string{"dash", "slash", "us", "iso"}, []string{"us", "dash", "slash", "iso"}
	s.NumbersAsText, s.ZeroQuantity, s.ZeroPrice = true, "accept", "accept"
	s.RequireExternalID, s.RequireLineDates = false, false
	return s
}

// clone copies the lists too, so that a copy can be changed.
func (s Switches) clone() Switches {
	for _, l := range []*[]string{&s.UpdateVerbs, &s.StatusVerbs, &s.ShipmentTypes, &s.ShipmentStatuses, &s.RefuseStatus, &s.DatesIn, &s.WIPDates} {
		*l = slices.Clone(*l)
	}
	return s
}

func (s Switches) validate() error {
	errs := []error{
		oneOf("signatures", s.Signatures, "both", "S", "L"),
		oneOf("legacy_query", s.LegacyQuery, "refuse", "inside", "outside"),
		oneOf("signed_application_name", s.SignedApplicationName, "either", "yes", "no"),
		oneOf("arrays", s.Arrays, "replace", "merge"),
		oneOf("product_update", s.ProductUpdate, "merge", "replace"),
		oneOf("company_update", s.CompanyUpdate, "merge", "replace"),
		oneOf("status_words", s.StatusWords, "both", "status", "action"),
		oneOf("status_forms", s.StatusForms, "both", "path", "body"),
		oneOf("number_path", s.NumberPath, "number", "bare", "both"),
		oneOf("shipments", s.Shipments, "inside", "own"),
		oneOf("same_status", fmt.Sprint(s.SameStatus), "304", "200"),
		oneOf("case", s.Case, "keep", "fold"),
		oneOf("path_case", s.PathCase, "exact", "folded"),
		oneOf("dates_out", s.DatesOut, "iso", "epoch"),
		oneOf("inventory", s.Inventory, "classic", "v3", "both"),
		oneOf("classic_answer", s.ClassicAnswer, "success", "array"),
		oneOf("pagination", s.Pagination, "off", "asked", "forced"),
		oneOf("unknown_fields", s.UnknownFields, "keep", "drop", "refuse"),
		oneOf("zero_quantity", s.ZeroQuantity, "refuse", "accept"),
		oneOf("zero_price", s.ZeroPrice, "refuse", "accept"),
		oneOf("below_shipped", s.BelowShipped, "refuse", "accept"),
		oneOf("order_dates", s.OrderDates, "either", "ship_start", "start_ship"),
		oneOf("buyer_create", s.BuyerCreate, "works", "broken"),
	}
	for _, v := range slices.Concat(s.UpdateVerbs, s.StatusVerbs) {
		errs = append(errs, oneOf("update_verbs or status_verbs", v, "POST", "PUT"))
	}
	for _, v := range slices.Concat(s.DatesIn, s.WIPDates) {
		errs = append(errs, oneOf("dates_in or wip_dates", v, "dash", "slash", "us", "iso"))
	}
	if s.PageSize < 1 {
		errs = append(errs, errors.New("switch page_size: must be at least 1"))
	}
	return errors.Join(errs...)
}
