package migrations_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"nubridge/migrations"
)

// TestMigrationsAreNumberedOneAfterTheOther finds two that were added side by side under one number, which the migrator refuses at
// the first start.
func TestMigrationsAreNumberedOneAfterTheOther(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(migrations.Files(), "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatalf("found %v, %v", names, err)
	}
	for i, name := range names {
		if want := fmt.Sprintf("%03d_", i+1); !strings.HasPrefix(name, want) {
			t.Errorf("%s: want its name to begin with %s", name, want)
		}
	}
}
