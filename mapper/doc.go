// Package mapper compiles a mapping folder and applies it: it routes changed rows to documents and translates documents to
// NuORDER bodies. It does no I/O and knows no clock; documents are read by mapper/documents.
package mapper
