package artifacttest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/artifacttest"
	"github.com/gennaker/gennaker/artifact/driver"
	"github.com/gennaker/gennaker/artifact/memartifact"
)

func ExampleRun() {
	// In a test file of the backend's package:
	_ = func(t *testing.T) {
		artifacttest.Run(t, func(*testing.T) driver.Driver { return new(memartifact.Driver) })
	}
}

func ExampleFaulty() {
	ctx := context.Background()
	backend := &artifacttest.Faulty{Driver: new(memartifact.Driver)}
	store := artifact.NewStore(backend, nil)
	digest := artifact.FromBytes([]byte("approved"))
	if err := store.Put(ctx, digest, strings.NewReader("approved"), nil); err != nil {
		fmt.Println(err)
	}

	backend.Stream = func(driver.Key, io.Reader) io.Reader { return strings.NewReader("replaced") }
	_, err := store.ReadAll(ctx, digest, 0)
	fmt.Println(errors.Is(err, artifact.ErrDigestMismatch))
	// Output: true
}
