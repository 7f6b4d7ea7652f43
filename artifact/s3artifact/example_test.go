package s3artifact_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/s3artifact"
)

func ExampleOpen() {
	server := httptest.NewServer(newFakeS3("shop-artifacts")) // in place of minio.example.com
	defer server.Close()

	ctx := context.Background()
	client, err := minio.New(strings.TrimPrefix(server.URL, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4("user", "password", ""), Region: "us-east-1",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	store, err := s3artifact.Open(ctx, client, "shop-artifacts", &s3artifact.Options{Prefix: "team/shop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	digest := artifact.FromBytes([]byte("the bytes of shop-1.4.2.tgz"))
	if err := store.Put(ctx, digest, strings.NewReader("the bytes of shop-1.4.2.tgz"), nil); err != nil {
		fmt.Println(err)
		return
	}
	info, err := store.Stat(ctx, digest)
	fmt.Println(info.Digest.Short(), info.Size, err)
	// Output: sha256:c46157f322c2 27 <nil>
}
