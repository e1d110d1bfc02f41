// Package nuorder is a stand-in for NuORDER's REST API: an HTTP server with portals, signatures that are verified, stores in
// memory, and every peculiarity that is known of the original. It is strict where the original is known to be, and has a
// switch wherever the original's behaviour is not known. It knows nothing of the bridge and shares no code with its client.
//
// What it does not do: pictures, payments, a user interface. What a person would do in the user interface is done by the Go
// methods of Server, or by the hooks below.
//
// # Hooks
//
// Hooks are JSON over HTTP under /_sandbox/, unsigned, and answered to loopback addresses only. ?portal=NAME chooses the portal;
// without it the first one is meant. An order is named by its _id or its order number.
//
//	GET    /_sandbox/health                        {"ok":true,"portals":[...]}
//	GET    /_sandbox/state                         everything stored: products, companies, inventory, orders, warehouses, pricesheets
//	GET    /_sandbox/state/{kind}                  one of these lists
//	GET    /_sandbox/state/{kind}/{id}             one document of products, companies or orders, by _id, brand_id, code or number
//	PATCH  /_sandbox/state/{kind}/{id}             {"set":{"pricing.USD.wholesale":1,"sizes.0.upc":"x"},"remove":["name"]}: plants a difference, unchecked;
//	                                               kinds products, companies, orders and inventory (paths of inventory as in its list of rows)
//	DELETE /_sandbox/state/{kind}/{id}             forgets a document
//	GET    /_sandbox/journal                       calls, oldest first: ?since=SEQ&limit=N&method=&path=GLOB&object=KIND:ID&status=CODE
//	DELETE /_sandbox/journal                       forgets calls and counts
//	GET    /_sandbox/counts                        counts that are kept for ever: by route, status, object; highest concurrency; refusals
//	GET    /_sandbox/faults                        the faults set, with hits
//	POST   /_sandbox/faults                        a Fault, or an array of them; answers them with their ids
//	DELETE /_sandbox/faults[/{id}]                 clears all, or one
//	GET    /_sandbox/switches                      the Switches
//	PATCH  /_sandbox/switches                      sets those that are named, e.g. {"arrays":"merge"}
//	GET    /_sandbox/limits                        the Limits
//	PATCH  /_sandbox/limits                        sets those that are named, e.g. {"rate":200}
//	POST   /_sandbox/clock                         {"skew":"6m"}: how far the server's clock is ahead of the real one
//	POST   /_sandbox/reset                         empties the stores; ?all=1 also faults, journal, switches, limits and clock
//	GET    /_sandbox/warehouses                    the warehouses
//	POST   /_sandbox/warehouses                    {"code":"NY","display_name":"New York"}: as created in Brand Settings
//	GET    /_sandbox/applications                  pending handshakes
//	POST   /_sandbox/applications/{token}/approve  {"oauth_verifier":"..."}; with a loopback callback it is also posted there
//	POST   /_sandbox/orders                        places an order: a body as for PUT /api/order/new, but prices, dates, number and currency
//	                                               have defaults, "status" is draft, review, pending or approved, and "split" may be ship,
//	                                               season, department or warehouse, and "doors" several shipping codes (suffixes -A, -B);
//	                                               answers an array of orders
//	POST   /_sandbox/orders/{ref}/submit           draft to review; {"status":"pending"} for a brand user
//	POST   /_sandbox/orders/{ref}/approve          to approved
//	POST   /_sandbox/orders/{ref}/reject           back to draft, stock is given back
//	POST   /_sandbox/orders/{ref}/cancel           to cancelled, stock is given back
//	POST   /_sandbox/orders/{ref}/edit             fields to change, as a user does it; "to_pending":true also sends it back to pending
//	POST   /_sandbox/orders/{ref}/split            {"by":"ship"}: siblings with suffixes -1, -2; answers all of them
//
// # Switches
//
// What is not known of the original is a field of Switches: DefaultSwitches is strict, LenientSwitches takes whatever a client
// was ever seen to send. They can be turned at any time.
//
// # Faults
//
// A Fault is matched by portal, method and path, and takes effect by skip, count and probability with a seed. Kinds: status (any
// code, with retry_after, as JSON or with text as plain text), slow, trickle, endless, cut, cut_body, row_errors. With
// after_commit the call is carried out first and only its answer is lost or replaced.
package nuorder
