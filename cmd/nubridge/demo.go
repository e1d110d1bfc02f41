package main

import "time"

// demoSince is the first order date that the demo's environment creates at NuORDER: a month of the generated orders.
func demoSince() string { return time.Now().UTC().AddDate(0, -1, 0).Format(time.DateOnly) }
