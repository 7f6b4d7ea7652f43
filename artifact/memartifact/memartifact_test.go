package memartifact_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/artifacttest"
	"github.com/gennaker/gennaker/artifact/driver"
	"github.com/gennaker/gennaker/artifact/memartifact"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	artifacttest.Run(t, func(*testing.T) driver.Driver { return new(memartifact.Driver) })
}

func ExampleNew() {
	ctx := context.Background()
	store := memartifact.New(nil)

	report := []byte("42 tests passed\n")
	digest := artifact.FromBytes(report)
	if err := store.Put(ctx, digest, bytes.NewReader(report), nil); err != nil {
		fmt.Println(err)
		return
	}
	data, err := store.ReadAll(ctx, digest, 0)
	fmt.Printf("%s%v\n", data, err)
	// Output:
	// 42 tests passed
	// <nil>
}
