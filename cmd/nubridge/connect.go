package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"nubridge/internal/config"
	"nubridge/sink/nuorder"
)

// nuorderCmd groups what is done with a portal.
type nuorderCmd struct {
	Connect nuorderConnectCmd `cmd:"" help:"Get a token: initiate, wait for the verifier, store the token outside the tree."`
}

type nuorderConnectCmd struct {
	Config      string        `help:"The configuration file; with --url none is needed." default:"nubridge.yaml" type:"path" placeholder:"FILE"`
	Environment string        `short:"e" help:"The environment that the token is for." default:"" placeholder:"NAME"`
	URL         string        `help:"The portal's address, instead of a configuration file." placeholder:"URL"`
	KeyFile     string        `help:"File with the consumer key; with --url." type:"path" placeholder:"FILE"`
	SecretFile  string        `help:"File with the consumer secret; with --url." type:"path" placeholder:"FILE"`
	Signature   string        `help:"rfc5849 or hex; with --url." default:"rfc5849" enum:"rfc5849,hex"`
	Private     bool          `help:"The address may be private or loopback; with --url."`
	Out         string        `help:"Folder for the token; by default one of the user's own." type:"path" placeholder:"DIR"`
	Application string        `help:"The name under which the portal's administrator finds the request." default:"nubridge"`
	Callback    string        `help:"Address to which the portal sends the verifier; else it is typed." placeholder:"URL"`
	Listen      string        `help:"Local address that serves --callback." default:"127.0.0.1:8089"`
	Wait        time.Duration `help:"How long to wait for the verifier." default:"30m"`
	JSON        bool          `help:"Print JSON at the end; the instructions go to standard error."`
}

// Example implements exampled.
func (nuorderConnectCmd) Example() string {
	return "nubridge nuorder connect --environment sandbox\n" +
		"nubridge nuorder connect --url https://wholesale.sandbox1.nuorder.com --key-file key --secret-file secret -e sandbox"
}

// Run goes through the handshake and stores the token; it never prints it. // I11
func (c nuorderConnectCmd) Run(ctx context.Context, s std) error {
	name, nc, credentials, err := c.portal()
	if err != nil {
		return err
	}
	dir := c.Out
	if dir == "" {
		if dir, err = nuorder.TokenDir(name); err != nil {
			return err
		}
	}
	client, err := nuorder.New(nc, nuorder.Deps{Credentials: func() nuorder.Credentials { return credentials }})
	if err != nil {
		return usageError{err}
	}
	defer client.Close()
	talk := s.out
	if c.JSON {
		talk = s.err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	token, err := nuorder.Connect(ctx, client, nuorder.Connecting{
		Application: c.Application, Callback: c.Callback, Listen: c.Listen, In: s.in, Out: talk,
	})
	if err != nil {
		return err
	}
	if err := nuorder.SaveToken(dir, token); err != nil {
		return usageError{err}
	}
	return c.done(s.out, name, dir)
}

func (c nuorderConnectCmd) done(out io.Writer, name, dir string) error {
	token, secret := filepath.Join(dir, nuorder.TokenFile), filepath.Join(dir, nuorder.TokenSecretFile)
	if c.JSON {
		return printJSON(out, map[string]any{"environment": name, "token_file": token, "token_secret_file": secret})
	}
	_, err := fmt.Fprintf(out, "\nthe token is stored; put into the configuration:\n  environments:\n    %s:\n      nuorder:\n        token_file: %s\n        token_secret_file: %s\n",
		name, token, secret)
	return err
}

// portal gives the address and the consumer's credentials, from the flags or from the configuration, whose token may still be missing.
func (c nuorderConnectCmd) portal() (string, nuorder.Config, nuorder.Credentials, error) {
	fail := func(err error) (string, nuorder.Config, nuorder.Credentials, error) {
		return "", nuorder.Config{}, nuorder.Credentials{}, err
	}
	if c.Callback == "" && c.Listen != "127.0.0.1:8089" {
		return fail(usageError{errors.New("--listen goes with --callback")})
	}
	if c.URL == "" {
		cfg, err := config.LoadForConnect(c.Config, os.LookupEnv)
		if err != nil {
			return fail(err)
		}
		name, err := chooseEnvironment(cfg, c.Environment)
		if err != nil {
			return fail(err)
		}
		e := cfg.Environments[name]
		if e.NuORDER.URL == "" || !e.NuORDER.ConsumerKey.IsSet() || !e.NuORDER.ConsumerSecret.IsSet() {
			return fail(usageError{fmt.Errorf("environments.%s.nuorder needs url, consumer_key and consumer_secret; they come with the contract", name)})
		}
		return name, nuorderConfig(name, e), nuorderCredentials(e), nil
	}
	if c.KeyFile == "" || c.SecretFile == "" {
		return fail(usageError{errors.New("--url needs --key-file and --secret-file")})
	}
	key, err := config.ReadSecret(c.KeyFile)
	if err != nil {
		return fail(usageError{err})
	}
	secret, err := config.ReadSecret(c.SecretFile)
	if err != nil {
		return fail(usageError{err})
	}
	name := c.Environment
	if name == "" {
		name = "sandbox"
	}
	return name, nuorder.Config{
			Environment: name, BaseURL: c.URL, Signature: nuorder.Signature(c.Signature), Network: nuorder.Network{AllowPrivate: c.Private, PlainHTTP: c.Private},
		}, nuorder.Credentials{ConsumerKey: key.Reveal(), ConsumerSecret: secret.Reveal()},
		nil
}
