package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// exampled is a command that shows how it is called.
type exampled interface{ Example() string }

// helpWithExample prints kong's help and ends with the command's example.
func helpWithExample(options kong.HelpOptions, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	example := "nubridge demo --once\nnubridge run --config nubridge.yaml"
	if node := ctx.Selected(); node != nil {
		if e, ok := node.Target.Addr().Interface().(exampled); ok {
			example = e.Example()
		}
	}
	_, err := fmt.Fprintf(ctx.Stdout, "\nExample:\n  %s\n", strings.ReplaceAll(example, "\n", "\n  "))
	return err
}
