package ociartifact_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/ociartifact"
)

// exampleClient returns a client for a registry in memory, in place of New(nil) and registry.example.com.
func exampleClient() (client *ociartifact.Client, host string, stop func()) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	host = strings.TrimPrefix(server.URL, "http://")
	client, err := ociartifact.New(&ociartifact.Options{PlainHTTP: []string{host}, Credentials: anonymous})
	if err != nil {
		panic(err)
	}
	return client, host, server.Close
}

func ExampleOpen() {
	client, host, stop := exampleClient()
	defer stop()
	ctx := context.Background()
	store, err := ociartifact.Open(ctx, client, host+"/shop/artifacts", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	manifests := []byte("kind: Deployment")
	digest := artifact.FromBytes(manifests)
	if err := store.Put(ctx, digest, bytes.NewReader(manifests), nil); err != nil {
		fmt.Println(err)
		return
	}
	// What the store keeps has a tag, and so a manifest, as images have.
	there, err := client.Exists(ctx, host+"/shop/artifacts:blobs_sha256."+digest.Hex())
	fmt.Println(there, err)
	// Output: true <nil>
}

func ExampleClient_Copy() {
	client, host, stop := exampleClient()
	defer stop()
	ctx := context.Background()
	store, err := ociartifact.Open(ctx, client, host+"/test/shop", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	digest := artifact.FromBytes([]byte("the shop"))
	if err := store.Put(ctx, digest, strings.NewReader("the shop"), nil); err != nil {
		fmt.Println(err)
		return
	}

	image, err := client.Resolve(ctx, host+"/test/shop:blobs_sha256."+digest.Hex())
	if err != nil {
		fmt.Println(err)
		return
	}
	inProd, err := client.CopyArtifact(ctx, image, host+"/prod/shop:1.4.2", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	running, err := client.Digest(ctx, host+"/prod/shop:1.4.2")
	fmt.Println(running == image.Digest, inProd.Digest == image.Digest, err)
	// Output: true true <nil>
}
