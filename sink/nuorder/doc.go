// Package nuorder is the client of NuORDER's API: signing, limits, the circuit breaker, the reading of answers, and one file per
// resource. On top of it stand the Remotes, which make one object at NuORDER equal to its body.
//
// Every call passes one gate, in this order: token bucket, adaptive concurrency, breaker of its endpoint class, deadline. Every
// answer is read by one function, classify, which decides the kind of a failure once; nobody else looks at a status code.
//
// The package does not decide whether a body must be sent (the loop compares hashes), does not back off for minutes (the loop
// schedules), keeps no state of objects (the ledger does), and never follows a redirect with a signed request.
package nuorder
