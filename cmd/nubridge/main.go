// Command nubridge keeps an order-management system and NuORDER in step.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5/pgconn"

	"nubridge/internal/config"
	"nubridge/internal/fault"
	"nubridge/internal/lifecycle"
)

// commands is the command line; each field is one subcommand in a file of its own.
type commands struct {
	Run       runCmd       `cmd:"" help:"Capture, deliver and import, as the configuration says."`
	Check     checkCmd     `cmd:"" help:"Check configuration, servers, rights and mapping; change nothing."`
	Status    statusCmd    `cmd:"" help:"Show how everything stands, one word of verdict first."`
	Parked    parkedCmd    `cmd:"" help:"List, show, retry or give up keys that a person must look at."`
	Orders    ordersCmd    `cmd:"" help:"Poll, list, show and decide about NuORDER's orders."`
	Replay    replayCmd    `cmd:"" help:"Look at documents again, by time, offset or key; shows its plan before --apply."`
	Pause     pauseCmd     `cmd:"" help:"Pause a flow; nothing is lost."`
	Resume    resumeCmd    `cmd:"" help:"Let a paused flow go on."`
	Snapshot  snapshotCmd  `cmd:"" help:"Load tables again; start, pause, resume, show."`
	AcceptGap acceptGapCmd `cmd:"" help:"Go on behind a gap that stopped capture or a flow, with a reason that is kept."`
	NuORDER   nuorderCmd   `cmd:"" name:"nuorder" help:"Get a token for a portal."`
	Mapping   mappingCmd   `cmd:"" help:"Test the mapping, and try it on real keys."`
	Init      initCmd      `cmd:"" help:"Draft a mapping folder from the tables of a database."`
	Reload    reloadCmd    `cmd:"" help:"Let the running bridge take changed mapping folders over."`
	Verify    verifyCmd    `cmd:"" help:"Compare NuORDER, the ledger and the OMS."`
	Demo      demoCmd      `cmd:"" help:"Run the whole bridge between a local OMS and a local NuORDER, with no configuration."`
	Sandbox   sandboxCmd   `cmd:"" help:"Run parts of the local world alone."`
	Migrate   migrateCmd   `cmd:"" help:"Make or upgrade the bridge's own tables."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
}

// std is where a command reads and writes.
type std struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	ctx, stop := lifecycle.Signals(context.Background(), os.Stderr)
	code := execute(ctx, os.Args[1:], std{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// usageError is a mistake in how a command was called.
type usageError struct{ error }

// execute runs one command line and gives the exit code.
func execute(ctx context.Context, args []string, s std) int {
	var c commands
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("nubridge"),
		kong.Description("Keeps an order-management system and NuORDER in step: change data capture from PostgreSQL through Kafka, approved orders back."),
		kong.Writers(s.out, s.err),
		kong.Exit(func(code int) { exited = code; panic(leave{}) }),
		kong.Help(helpWithExample),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(s),
	)
	if err != nil {
		fmt.Fprintln(s.err, "nubridge:", err)
		return lifecycle.ExitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	var parsed *kong.Context
	if left(func() { parsed, err = parser.Parse(args) }) {
		return exited
	}
	if err != nil {
		fmt.Fprintf(s.err, "nubridge: %v; hint: nubridge --help\n", err)
		return lifecycle.ExitUsage
	}
	if err := parsed.Run(); err != nil {
		if _, silent := errors.AsType[reported](err); !silent {
			fmt.Fprintln(s.err, "nubridge:", err)
		}
		return exitCode(err)
	}
	return lifecycle.ExitDone
}

// leave is how kong's wish to exit, after --help, gets back here.
type leave struct{}

func left(parse func()) (out bool) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case leave:
			out = true
		default:
			panic(r)
		}
	}()
	parse()
	return false
}

// reported is a failure whose text is printed already.
type reported struct{ error }

// Unwrap gives the failure.
func (r reported) Unwrap() error { return r.error }

// exitCode sorts a failure into the documented codes.
func exitCode(err error) int {
	if e, ok := errors.AsType[exitError](err); ok {
		return e.code
	}
	if _, ok := errors.AsType[*config.Error](err); ok {
		return lifecycle.ExitUsage
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return lifecycle.ExitUsage
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.ExitCode()
	}
	if away(err) {
		return lifecycle.ExitUnreachable
	}
	return lifecycle.ExitFailed
}

// away tells that a database did not answer, or ended the connection because it stops, starts or is full: later it may answer.
func away(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return slices.Contains([]string{"57P01", "57P02", "57P03", "53300"}, pg.Code) // shut down, crashed, starting, too many clients
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.ErrUnexpectedEOF)
}
