// Package mapping holds the mapping folder of the reference OMS: the vendor's default mapping, written as users write theirs.
package mapping

import (
	"embed"
	"io/fs"
)

//go:embed all:reference
var files embed.FS //nolint:gochecknoglobals // the one form that go:embed has

// Folder gives the mapping folder of the reference OMS.
func Folder() fs.FS {
	sub, err := fs.Sub(files, "reference")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	return sub
}
