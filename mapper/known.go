package mapper

import (
	"fmt"
	"slices"
	"strings"
)

// knownFields lists the fields at the top of a file's body that NuORDER is known to have. A body may hold others, which are the
// portal's own: the list only finds misspelt ones.
func knownFields(file string) []string {
	switch file {
	case "products.yaml":
		return strings.Fields(`brand_id style_number season seasons color color_code name schema_id category subcategory department division description
			fabric_description country_of_origin sizes size_groups pricing price_sheets available_now available_from available_until order_closing active archived
			cancelled images banners external_id unique_key`)
	case "customers.yaml":
		return strings.Fields(`name code currency_code currency_codes addresses discount surcharge payment_terms credit_status warehouse pricing_template
			customer_groups allow_bulk active reps legal_file phone phone_office`)
	case "inventory.yaml":
		return []string{"inventory"}
	case "orders.yaml":
		return strings.Fields(`order_number external_id currency_code status start_ship end_ship ship_start ship_end retailer billing_address shipping_address
			customer_po_number discount rep_code rep_email notes total shipping_information line_items order_tags`)
	case "shipments.yaml":
		return []string{"shipments"}
	}
	return nil
}

// misspelt warns of fields that are almost a known one. The portal takes what it does not know for nothing, or for a field of its own.
func (f *fileCompiler) misspelt() {
	known := knownFields(f.file)
	if f.fields.Kind != Map {
		return
	}
	for _, k := range f.fields.Keys {
		defined := slices.ContainsFunc(f.schema.Portal.of(f.file), func(p PortalField) bool { return p.Key == k.Text })
		if defined || slices.Contains(known, k.Text) || len(k.Text) < 5 {
			continue
		}
		for _, name := range known {
			if strings.EqualFold(name, k.Text) || distance(k.Text, name) <= 2 && len(name) > 4 {
				f.add(k.Finding(Warning, fmt.Sprintf("NuORDER is not known to have a field %q", k.Text), "a field of NuORDER, or one of the portal's own", fmt.Sprintf("did you mean %q?", name)))
				break
			}
		}
	}
}
