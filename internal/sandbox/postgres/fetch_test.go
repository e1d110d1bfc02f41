package postgres

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ulikunitz/xz"
)

// fakePackage is a package as the repository publishes it, whose server is a script.
func fakePackage(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var txz, jar bytes.Buffer
	x, err := xz.NewWriter(&txz)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewWriter(x)
	script := "#!/bin/sh\necho 'postgres (PostgreSQL) 16.15'\n"
	for _, h := range append([]tar.Header{
		{Name: "./bin/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "./bin/postgres", Typeflag: tar.TypeReg, Mode: 0o755},
		{Name: "./bin/initdb", Typeflag: tar.TypeSymlink, Linkname: "postgres"},
	}, entries...) {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(script))
		}
		if err := archive.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			_, _ = io.WriteString(archive, script)
		}
	}
	for _, c := range []io.Closer{archive, x} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	z := zip.NewWriter(&jar)
	f, err := z.Create("postgres-any.txz")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.Write(txz.Bytes())
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return jar.Bytes()
}

type mirror struct {
	*httptest.Server
	downloads atomic.Int64
}

func newMirror(t *testing.T, jar []byte, sum string) *mirror {
	t.Helper()
	m := &mirror{}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "-16.15.0.jar"):
			m.downloads.Add(1)
			_, _ = w.Write(jar)
		case strings.HasSuffix(r.URL.Path, "-16.15.0.jar.sha1") && sum != "":
			_, _ = io.WriteString(w, sum+"  package.jar\n")
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(m.Close)
	return m
}

func sumOf(jar []byte) string {
	s := sha1.Sum(jar)
	return hex.EncodeToString(s[:])
}

func skipWithoutPackages(t *testing.T) {
	t.Helper()
	if _, err := platform(); err != nil {
		t.Skip(err)
	}
}

func TestServerIsFetchedOnceWithItsChecksumVerified(t *testing.T) {
	t.Parallel()
	skipWithoutPackages(t)
	jar := fakePackage(t)
	m, cache := newMirror(t, jar, sumOf(jar)), t.TempDir()
	var progress atomic.Int64
	c := Config{Major: 16, Mirror: m.URL, Progress: func(done, _ int64) { progress.Store(done) }}.withDefaults()
	var wait sync.WaitGroup
	for range 4 { // several processes would do the same
		wait.Go(func() {
			i, err := fetch(context.Background(), c, cache)
			if err != nil || i.version != "16.15" || i.major != 16 {
				t.Errorf("got %+v, %v", i, err)
			}
		})
	}
	wait.Wait()
	if m.downloads.Load() != 1 || progress.Load() != int64(len(jar)) {
		t.Errorf("%d downloads, progress %d of %d", m.downloads.Load(), progress.Load(), len(jar))
	}
	left, _ := filepath.Glob(filepath.Join(cache, "unpack-*"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDamagedOrUnprovenPackageIsNotInstalled(t *testing.T) {
	t.Parallel()
	skipWithoutPackages(t)
	jar := fakePackage(t)
	for name, m := range map[string]*mirror{"wrong sum": newMirror(t, jar, strings.Repeat("0", 40)), "no sum": newMirror(t, jar, "")} {
		cache := t.TempDir()
		if _, err := fetch(t.Context(), Config{Major: 16, Mirror: m.URL}.withDefaults(), cache); err == nil {
			t.Errorf("%s: installed", name)
		}
		if _, err := os.Stat(filepath.Join(cache, "16.15.0-linux-amd64", "bin")); err == nil {
			t.Errorf("%s: files are in place", name)
		}
	}
	// the default version is pinned in this program: not even a mirror with a matching sum can replace it
	if sum := pinnedSum("linux-amd64", pinnedVersion(defaultMajor)); len(sum) != 64 {
		t.Errorf("the default version has no pin: %q", sum)
	}
}

func TestPackageCannotWriteOutsideItsFolder(t *testing.T) {
	t.Parallel()
	skipWithoutPackages(t)
	outside := filepath.Join(t.TempDir(), "outside")
	for _, evil := range [][]tar.Header{
		{{Name: "../../evil", Typeflag: tar.TypeReg, Mode: 0o755}},
		{{Name: "way", Typeflag: tar.TypeSymlink, Linkname: filepath.Dir(outside)}, {Name: "way/outside", Typeflag: tar.TypeReg}},
	} {
		jar := fakePackage(t, evil...)
		m := newMirror(t, jar, sumOf(jar))
		if _, err := fetch(t.Context(), Config{Major: 16, Mirror: m.URL}.withDefaults(), t.TempDir()); err == nil {
			t.Error("installed")
		}
		if _, err := os.Stat(outside); err == nil {
			t.Error("a file was written outside")
		}
	}
}

func TestMissingServerIsOneErrorThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	skipWithoutPackages(t)
	_, err := fetch(t.Context(), Config{NoDownload: true}.withDefaults(), t.TempDir())
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	nobody := newMirror(t, nil, "")
	nobody.Close()
	for _, major := range []int{17, 16} { // with and without a pin
		_, err = fetch(t.Context(), Config{Major: major, Mirror: nobody.URL}.withDefaults(), t.TempDir())
		if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), EnvMirror) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v", err)
		}
	}
}

func TestVersionIsReadFromWhatServersSay(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)": 15, "postgres (PostgreSQL) 17.11\n": 17, "postgres (PostgreSQL) 18beta1": 18,
		"postgres (PostgreSQL) 19devel": 19, "": 0, "no version": 0,
	} {
		if _, got, err := parseVersion(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: got %d, %v", text, got, err)
		}
	}
}

func FuzzParseVersion(f *testing.F) {
	f.Add("postgres (PostgreSQL) 15.18")
	f.Fuzz(func(t *testing.T, text string) {
		if version, major, err := parseVersion(text); err == nil && (major <= 0 || version == "") {
			t.Errorf("%q gave %q, %d", text, version, major)
		}
	})
}
