package artifactload

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/dirartifact"
	"github.com/gennaker/gennaker/artifact/ociartifact"
	"github.com/gennaker/gennaker/artifact/s3artifact"
	"github.com/gennaker/gennaker/internal/e2e/miniotest"
	"github.com/gennaker/gennaker/internal/e2e/netns"
	"github.com/gennaker/gennaker/internal/e2e/registrytest"
)

var (
	sizeFlag       = flag.Int64("size", 96, "MiB of content")
	throughputFlag = flag.Bool("throughput", false, "compare with the plain client libraries")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if text := os.Getenv(jobEnv); text != "" {
		if err := runJob(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(netns.Main(m.Run, netns.Options{Prepare: miniotest.Prepare}))
}

// place says where a store is.
type place struct {
	Dir              string // a folder,
	Endpoint, Bucket string // or a bucket,
	Repository       string // or a repository
}

// open opens the store.
func (p place) open(ctx context.Context) (*artifact.Store, error) {
	switch {
	case p.Dir != "":
		return dirartifact.Open(p.Dir, nil)
	case p.Bucket != "":
		client, err := minio.New(p.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(miniotest.AccessKey, miniotest.SecretKey, "")})
		if err != nil {
			return nil, err
		}
		return s3artifact.Open(ctx, client, p.Bucket, nil)
	}
	client, err := ociartifact.New(&ociartifact.Options{Credentials: login})
	if err != nil {
		return nil, err
	}
	return ociartifact.Open(ctx, client, p.Repository, nil)
}

func login(context.Context, string) (ociartifact.Credential, error) {
	return ociartifact.Credential{Username: registrytest.Username, Password: registrytest.Password}, nil
}

// content returns a stream of n bytes that do not repeat and take no memory.
func content(n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1}), n)
}

func runJob(text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	used, err := j.run(context.Background())
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(used)
}
