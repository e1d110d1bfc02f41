package nuorder

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Connecting walks a person through the handshake.
type Connecting struct {
	// Application is the name under which the portal's administrator finds the request; default nubridge.
	Application string
	// Callback is the URL to which the portal posts the verifier; empty lets the person type it.
	Callback string
	// Listen is the local address that serves the callback, such as 127.0.0.1:8089; it is needed with Callback.
	Listen string
	// In is where the verifier is typed, Out where the person is told what to do.
	In  io.Reader
	Out io.Writer
}

// Connect gets a token for the client's consumer key: it asks for a temporary token, tells what to do in the portal, waits for the
// verifier and trades it. It blocks until the verifier comes or the context ends. The secrets go to the caller and nowhere else. // I11
func Connect(ctx context.Context, c *Client, how Connecting) (Credentials, error) {
	set(&how.Application, "nubridge")
	callback := OutOfBand
	var verifiers chan verifier
	if how.Callback != "" {
		callback = how.Callback
		verifiers = make(chan verifier, 1) // the first is taken, the rest are refused
		stop, err := listen(ctx, how, verifiers)
		if err != nil {
			return Credentials{}, err
		}
		defer stop()
	}
	temporary, err := c.Initiate(ctx, how.Application, callback)
	if err != nil {
		return Credentials{}, fmt.Errorf("ask NuORDER for a temporary token: %w", err)
	}
	fmt.Fprintf(how.Out, "In NuORDER, as an administrator of %s:\n  1. open Admin > API Management\n  2. find the pending application %q and approve it\n", c.base.Host, how.Application)
	code, err := how.await(ctx, temporary.Token, verifiers)
	if err != nil {
		return Credentials{}, err
	}
	token, err := c.Exchange(ctx, temporary, code)
	if err != nil {
		return Credentials{}, fmt.Errorf("trade the verifier for a token: %w", err)
	}
	return token, nil
}

// await waits for the verifier, typed or posted.
func (how Connecting) await(ctx context.Context, token string, verifiers <-chan verifier) (string, error) {
	if verifiers != nil {
		fmt.Fprintf(how.Out, "Waiting for NuORDER to send the verifier to %s ...\n", how.Callback)
		for {
			select {
			case <-ctx.Done():
				return "", fmt.Errorf("wait for the verifier: %w", ctx.Err())
			case v := <-verifiers:
				if v.Token == "" || v.Token == token {
					return v.Code, nil
				}
			}
		}
	}
	fmt.Fprint(how.Out, "  3. type the verifier that is shown there: ")
	lines := make(chan string, 1)
	failed := make(chan error, 1)
	// A read from a terminal cannot be called off; the goroutine ends with the process at the latest.
	go func() {
		line, err := bufio.NewReader(io.LimitReader(how.In, 1024)).ReadString('\n')
		if line = strings.TrimSpace(line); line != "" {
			lines <- line
			return
		}
		failed <- errors.Join(errors.New("read the verifier: nothing was typed"), err)
	}()
	select {
	case <-ctx.Done():
		return "", fmt.Errorf("wait for the verifier: %w", ctx.Err())
	case line := <-lines:
		return line, nil
	case err := <-failed:
		return "", err
	}
}

// verifier is what the portal posts.
type verifier struct {
	Token string `json:"oauth_token"`
	Code  string `json:"oauth_verifier"`
}

// listen serves the callback until stop is called, which waits for the server's end.
func listen(ctx context.Context, how Connecting, verifiers chan<- verifier) (stop func(), err error) {
	u, err := url.Parse(how.Callback)
	if err != nil || u.Host == "" {
		return nil, errors.New("callback must be a URL, such as https://bridge.example/nuorder")
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", how.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for the verifier: %w", err)
	}
	path := u.Path
	if path == "" {
		path = "/"
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, ok := readVerifier(r)
		if r.URL.Path != path || !ok {
			http.Error(w, "expected a verifier", http.StatusBadRequest)
			return
		}
		select {
		case verifiers <- v:
			w.WriteHeader(http.StatusNoContent)
		default:
			http.Error(w, "a verifier came already", http.StatusConflict)
		}
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	return func() {
		// The portal is still owed the answer to its post: only a post that never ends is cut.
		rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(rest) != nil {
			_ = server.Close()
		}
		<-done
	}, nil
}

// readVerifier takes the verifier from a JSON body, a form or the query, since the public facts do not say which it is.
func readVerifier(r *http.Request) (verifier, bool) {
	var v verifier
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<10))
	if err != nil {
		return v, false
	}
	if json.Unmarshal(body, &v) != nil || v.Code == "" {
		form, err := url.ParseQuery(string(body))
		if err != nil || form.Get("oauth_verifier") == "" {
			form = r.URL.Query()
		}
		v = verifier{Token: form.Get("oauth_token"), Code: form.Get("oauth_verifier")}
	}
	return v, v.Code != ""
}
