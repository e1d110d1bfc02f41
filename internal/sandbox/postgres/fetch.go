package postgres

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	groupPath    = "io/zonky/test/postgres"
	artifactStem = "embedded-postgres-binaries-"
	// maxDownload bounds what is taken from the network: the packages have 10 to 40 MB.
	maxDownload = 256 << 20
)

// pinnedVersion is the release that is fetched for a major version.
func pinnedVersion(major int) string {
	return map[int]string{14: "14.24.0", 15: "15.19.0", 16: "16.15.0", 17: "17.11.0", 18: "18.6.0"}[major]
}

// platform names this machine as the packages do; Alpine and its kin have packages of their own.
func platform() (string, error) {
	arch, ok := map[string]string{"amd64": "amd64", "arm64": "arm64v8"}[runtime.GOARCH]
	if !ok || runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		return "", fmt.Errorf("no server binaries are published for %s/%s: install PostgreSQL %d to %d", runtime.GOOS, runtime.GOARCH, MinMajor, MaxMajor)
	}
	name := runtime.GOOS + "-" + arch
	if runtime.GOOS == "linux" {
		if musl, _ := filepath.Glob("/lib/ld-musl-*"); len(musl) > 0 {
			if glibc, _ := filepath.Glob("/lib*/ld-linux-*"); len(glibc) == 0 {
				name += "-alpine"
			}
		}
	}
	return name, nil
}

// fetch puts the server's programs into the cache, once, and tells where they are. It is safe to be called by several
// processes at a time.
func fetch(ctx context.Context, c Config, cache string) (install, error) {
	major := c.Major
	if major == 0 {
		major = defaultMajor
	}
	plat, err := platform()
	if err != nil {
		return install{}, err
	}
	version := pinnedVersion(major)
	home := filepath.Join(cache, version+"-"+plat)
	if i, err := inspect(ctx, filepath.Join(home, "bin")); err == nil {
		return i, nil
	}
	if c.NoDownload {
		return install{}, fmt.Errorf("%w, and downloading is forbidden", ErrNotFound)
	}
	release, err := lock(ctx, home+".lock")
	if err != nil {
		return install{}, err
	}
	defer release()
	if i, err := inspect(ctx, filepath.Join(home, "bin")); err == nil { // another process was quicker
		return i, nil
	}
	temp, err := os.MkdirTemp(cache, "unpack-")
	if err != nil {
		return install{}, fmt.Errorf("make folder for the download: %w", err)
	}
	defer func() { _ = os.RemoveAll(temp) }() // only a leftover
	if err := os.Chmod(temp, 0o755); err != nil {
		return install{}, err
	}
	jar := filepath.Join(temp, "package.jar")
	if err := download(ctx, c, plat, version, jar); err != nil {
		return install{}, err
	}
	tree := filepath.Join(temp, "tree")
	if err := unpack(jar, tree); err != nil {
		return install{}, fmt.Errorf("unpack PostgreSQL %s for %s: %w", version, plat, err)
	}
	if err := os.RemoveAll(home); err != nil {
		return install{}, fmt.Errorf("clear the place of PostgreSQL %s: %w", version, err)
	}
	if err := os.Rename(tree, home); err != nil {
		return install{}, fmt.Errorf("put PostgreSQL %s in place: %w", version, err)
	}
	return inspect(ctx, filepath.Join(home, "bin"))
}

// download fetches one package and checks its sum: against the pin in this program, else against the sum published beside it.
func download(ctx context.Context, c Config, plat, version, to string) error {
	artifact := artifactStem + plat
	address := fmt.Sprintf("%s/%s/%s/%s/%s-%s.jar", c.Mirror, groupPath, artifact, version, artifact, version)
	client := &http.Client{Timeout: 15 * time.Minute}
	want, sum := pinnedSum(plat, version), sha256.New()
	if want == "" {
		var err error
		if want, sum, err = publishedSum(ctx, client, address); err != nil {
			return noServer(version, fmt.Errorf("learn the checksum: %w", err))
		}
	}
	if err := get(ctx, client, address, to, sum, c.Progress); err != nil {
		return noServer(version, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); !strings.EqualFold(got, want) {
		return fmt.Errorf("the package of PostgreSQL %s from %s has checksum %s, expected %s: it was damaged or replaced on its way, nothing was installed",
			version, c.Mirror, got, want)
	}
	return nil
}

func noServer(version string, err error) error {
	return fmt.Errorf("%w and PostgreSQL %s could not be fetched (install PostgreSQL %d to %d, or set %s to a mirror): %w",
		ErrNotFound, version, MinMajor, MaxMajor, EnvMirror, err)
}

// publishedSum reads the sum that the repository publishes beside the package, the strongest there is.
func publishedSum(ctx context.Context, client *http.Client, address string) (string, hash.Hash, error) {
	var failed error
	for _, kind := range []struct {
		suffix string
		sum    hash.Hash
	}{{".sha256", sha256.New()}, {".sha1", sha1.New()}} {
		text, err := getText(ctx, client, address+kind.suffix)
		if err != nil {
			failed = err
			continue
		}
		fields := strings.Fields(text)
		if len(fields) > 0 && len(fields[0]) == 2*kind.sum.Size() {
			return fields[0], kind.sum, nil
		}
		failed = fmt.Errorf("no checksum in %s", address+kind.suffix)
	}
	return "", nil, failed
}

func getText(ctx context.Context, client *http.Client, address string) (string, error) {
	body, _, err := open(ctx, client, address)
	if err != nil {
		return "", err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, 4096))
	return string(text), err
}

func open(ctx context.Context, client *http.Client, address string) (io.ReadCloser, int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, 0, fmt.Errorf("get %s: %s", address, resp.Status)
	}
	return resp.Body, resp.ContentLength, nil
}

func get(ctx context.Context, client *http.Client, address, to string, sum hash.Hash, progress func(done, total int64)) error {
	body, total, err := open(ctx, client, address)
	if err != nil {
		return err
	}
	defer body.Close()
	if total > maxDownload {
		return fmt.Errorf("%s has %d bytes, more than any package of PostgreSQL", address, total)
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer f.Close()
	out := io.MultiWriter(f, sum, &meter{total: total, tell: progress})
	n, err := io.Copy(out, io.LimitReader(body, maxDownload+1))
	if err != nil {
		return err
	}
	if n > maxDownload {
		return fmt.Errorf("%s is larger than any package of PostgreSQL", address)
	}
	return f.Close()
}

// meter counts what is written through it.
type meter struct {
	done, total int64
	tell        func(done, total int64)
}

// Write counts.
func (m *meter) Write(p []byte) (int, error) {
	m.done += int64(len(p))
	m.tell(m.done, m.total)
	return len(p), nil
}
