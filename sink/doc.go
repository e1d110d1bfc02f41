// Package sink is the delivery loop: it takes the changes of one flow from Kafka, coalesces them per document, owns, reads and maps
// the documents, and makes each remote object equal to its body, in order per object and with the fewest calls. What NuORDER
// is told, and how, is the business of the Remotes in sink/nuorder.
package sink
