package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the release build.
var version = "dev"

type versionCmd struct {
	JSON bool `help:"Print JSON."`
}

// Example implements exampled.
func (versionCmd) Example() string { return "nubridge version --json" }

// Run prints the version.
func (c versionCmd) Run(s std) error {
	v := struct {
		Version  string `json:"version"`
		Revision string `json:"revision,omitempty"`
		Go       string `json:"go"`
		Platform string `json:"platform"`
	}{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				v.Revision = setting.Value
			}
		}
	}
	if c.JSON {
		return json.NewEncoder(s.out).Encode(v)
	}
	_, err := fmt.Fprintf(s.out, "nubridge %s %s (%s, %s)\n", v.Version, v.Revision, v.Go, v.Platform)
	return err
}
