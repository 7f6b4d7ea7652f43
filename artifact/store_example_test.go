package artifact_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/memartifact"
)

func ExampleStore() {
	ctx := context.Background()
	store := memartifact.New(&artifact.StoreOptions{MaxSize: 1 << 20})

	const notes = "1.4.2: faster checkout\n"
	digest := artifact.FromBytes([]byte(notes))
	if err := store.Put(ctx, digest, strings.NewReader(notes), nil); err != nil {
		fmt.Println(err)
		return
	}
	err := store.Put(ctx, digest, strings.NewReader("something else"), nil)
	fmt.Println(errors.Is(err, artifact.ErrDigestMismatch))

	stream, err := store.Get(ctx, digest, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stream.Close()
	_, err = io.Copy(os.Stdout, stream) // nil means that the content was verified
	fmt.Println(err)
	// Output:
	// true
	// 1.4.2: faster checkout
	// <nil>
}

func ExampleStore_PutSet() {
	ctx := context.Background()
	store := memartifact.New(nil)

	web, _ := artifact.Image("registry.example.com/shop/web:1.4.2@" + webDigest)
	set, _ := artifact.NewSet(web)
	digest, err := store.PutSet(ctx, set)
	if err != nil {
		fmt.Println(err)
		return
	}
	back, err := store.GetSet(ctx, digest)
	fmt.Println(back, err)
	// Output: {image shop/web:1.4.2@sha256:9f86d081884c} <nil>
}

func ExampleStore_List() {
	ctx := context.Background()
	store := memartifact.New(nil)
	for _, content := range []string{"one", "two", "three"} {
		if err := store.Put(ctx, artifact.FromBytes([]byte(content)), strings.NewReader(content), nil); err != nil {
			fmt.Println(err)
		}
	}
	for info, err := range store.List(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(info.Digest.Short(), info.Size)
	}
	// Output:
	// sha256:3fc4ccfe7458 3
	// sha256:7692c3ad3540 3
	// sha256:8b5b9db0c13d 5
}
