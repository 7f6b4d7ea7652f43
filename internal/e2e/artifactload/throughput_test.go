package artifactload

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/dirartifact"
	"github.com/gennaker/gennaker/artifact/ociartifact"
	"github.com/gennaker/gennaker/artifact/s3artifact"
	"github.com/gennaker/gennaker/internal/e2e/miniotest"
	"github.com/gennaker/gennaker/internal/e2e/registrytest"
)

const rounds = 5

// contest is one thing done in two ways; each is told the number of the round.
type contest struct {
	name        string
	least       float64 // of the plain throughput
	plain, ours func(ctx context.Context, round int) error
}

// cpu is the CPU time that this process, without the servers, has used.
func cpu(t *testing.T) time.Duration {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// best runs both in turn and compares the shortest times.
func (c contest) run(t *testing.T, size int64) {
	took := [2]time.Duration{time.Hour, time.Hour}
	spent := [2]time.Duration{time.Hour, time.Hour}
	for round := range rounds {
		for who, f := range []func(context.Context, int) error{c.plain, c.ours} {
			start, before := time.Now(), cpu(t)
			require.NoError(t, f(t.Context(), round))
			took[who] = min(took[who], time.Since(start))
			spent[who] = min(spent[who], cpu(t)-before)
		}
	}
	rate := func(d time.Duration) float64 { return float64(size) / 1e6 / d.Seconds() }
	ratio := float64(took[0]) / float64(took[1])
	t.Logf("%s: plain %.0f MB/s (%.2f s of CPU), ours %.0f MB/s (%.2f s of CPU): %.2f of the plain throughput",
		c.name, rate(took[0]), spent[0].Seconds(), rate(took[1]), spent[1].Seconds(), ratio)
	require.GreaterOrEqual(t, ratio, c.least, c.name)
}

func TestThroughput(t *testing.T) {
	if !*throughputFlag {
		t.Skip("-throughput is not given")
	}
	size := *sizeFlag << 20
	want, err := artifact.FromReader(content(size))
	require.NoError(t, err)
	for _, c := range []contest{imageCopy(t, size), repositoryPut(t, size, want), bucketPut(t, size, want), bucketCopy(t, size, want), bucketGet(t, size, want), folderPut(t, size, want)} {
		t.Run(c.name, func(t *testing.T) { c.run(t, size) })
	}
}

func plainRepository(t *testing.T, s *registrytest.Server, name string) *remote.Repository {
	repo, err := remote.NewRepository(s.Addr() + "/" + name)
	require.NoError(t, err)
	repo.Client = &auth.Client{
		Client: &http.Client{Transport: s.Transport()}, Cache: auth.NewCache(),
		Credential: auth.StaticCredential(s.Addr(), auth.Credential{Username: registrytest.Username, Password: registrytest.Password}),
	}
	return repo
}

type byHost map[string]http.RoundTripper

func (b byHost) RoundTrip(r *http.Request) (*http.Response, error) { return b[r.URL.Host].RoundTrip(r) }

// transport is what a client has by default, and trusts a server.
func transport(s *registrytest.Server) http.RoundTripper {
	t := ociartifact.NewTransport()
	t.TLSClientConfig = s.Transport().TLSClientConfig
	return t
}

// pushImage pushes an image of one layer.
func pushImage(t *testing.T, repo *remote.Repository, size int64) {
	sum, err := artifact.FromReader(content(size))
	require.NoError(t, err)
	layer := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.Digest(sum), Size: size}
	require.NoError(t, repo.Blobs().Push(t.Context(), layer, content(size)))
	config := ocispec.DescriptorEmptyJSON
	require.NoError(t, repo.Blobs().Push(t.Context(), config, bytes.NewReader(config.Data)))
	data, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: []ocispec.Descriptor{layer},
	})
	require.NoError(t, err)
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(data), Size: int64(len(data))}
	require.NoError(t, repo.PushReference(t.Context(), desc, bytes.NewReader(data), "1"))
}

// imageCopy copies an image to another registry, which is a new one each time: a registry keeps blobs once.
func imageCopy(t *testing.T, size int64) contest {
	from := registrytest.Start(t)
	pushImage(t, plainRepository(t, from, "shop"), size)
	return contest{"copy of an image between registries", 0.9,
		func(ctx context.Context, round int) error {
			to := registrytest.Start(t)
			_, err := oras.Copy(ctx, plainRepository(t, from, "shop"), "1", plainRepository(t, to, "shop"), "1", oras.DefaultCopyOptions)
			return err
		},
		func(ctx context.Context, round int) error {
			to := registrytest.Start(t)
			client, err := ociartifact.New(&ociartifact.Options{Credentials: login, Transport: byHost{
				from.Addr(): transport(from), to.Addr(): transport(to),
			}})
			require.NoError(t, err)
			_, err = client.Copy(ctx, from.Addr()+"/shop:1", to.Addr()+"/shop:1", nil)
			return err
		},
	}
}

func repositoryPut(t *testing.T, size int64, want artifact.Digest) contest {
	// Ours sends chunks, so that it can go on after a cut, and a registry syncs each; the plain client sends one body.
	return contest{"put into a registry", 0.6,
		func(ctx context.Context, round int) error {
			desc := ocispec.Descriptor{Digest: digest.Digest(want), Size: size}
			return plainRepository(t, registrytest.Start(t), "shop").Blobs().Push(ctx, desc, content(size))
		},
		func(ctx context.Context, round int) error {
			s := registrytest.Start(t)
			client, err := ociartifact.New(&ociartifact.Options{Credentials: login, Transport: transport(s)})
			require.NoError(t, err)
			store, err := ociartifact.Open(ctx, client, s.Addr()+"/shop", nil)
			require.NoError(t, err)
			return store.Put(ctx, want, content(size), &artifact.PutOptions{Size: size})
		},
	}
}

func bucketPut(t *testing.T, size int64, want artifact.Digest) contest {
	s := miniotest.Start(t)
	client := s.Client(t)
	return contest{"put into a bucket", 0.9,
		func(ctx context.Context, round int) error {
			_, err := client.PutObject(ctx, s.Bucket(t), "a", content(size), size, minio.PutObjectOptions{PartSize: 16 << 20})
			return err
		},
		func(ctx context.Context, round int) error {
			store, err := s3artifact.Open(ctx, client, s.Bucket(t), nil)
			require.NoError(t, err)
			return store.Put(ctx, want, content(size), &artifact.PutOptions{Size: size})
		},
	}
}

func bucketCopy(t *testing.T, size int64, want artifact.Digest) contest {
	s := miniotest.Start(t)
	client, bucket := s.Client(t), s.Bucket(t)
	from, err := s3artifact.Open(t.Context(), client, bucket, nil)
	require.NoError(t, err)
	require.NoError(t, from.Put(t.Context(), want, content(size), nil))
	return contest{"copy from bucket to bucket", 0.9,
		func(ctx context.Context, round int) error {
			object, err := client.GetObject(ctx, bucket, "blobs/sha256/"+want.Hex(), minio.GetObjectOptions{})
			require.NoError(t, err)
			defer object.Close()
			_, err = client.PutObject(ctx, s.Bucket(t), "a", struct{ io.Reader }{object}, size, minio.PutObjectOptions{PartSize: 16 << 20})
			return err
		},
		func(ctx context.Context, round int) error {
			to, err := s3artifact.Open(ctx, client, s.Bucket(t), nil)
			require.NoError(t, err)
			return to.Copy(ctx, from, want, nil)
		},
	}
}

func bucketGet(t *testing.T, size int64, want artifact.Digest) contest {
	s := miniotest.Start(t)
	client, bucket := s.Client(t), s.Bucket(t)
	store, err := s3artifact.Open(t.Context(), client, bucket, nil)
	require.NoError(t, err)
	require.NoError(t, store.Put(t.Context(), want, content(size), nil))
	return contest{"get from a bucket, verified", 0.9,
		func(ctx context.Context, round int) error {
			object, err := client.GetObject(ctx, bucket, "blobs/sha256/"+want.Hex(), minio.GetObjectOptions{})
			require.NoError(t, err)
			defer object.Close()
			// The plain library does not verify, so the program has to.
			got, err := artifact.FromReader(object)
			if err == nil && got != want {
				err = fmt.Errorf("it is %s", got)
			}
			return err
		},
		func(ctx context.Context, round int) error {
			r, err := store.Get(ctx, want, nil)
			require.NoError(t, err)
			defer r.Close()
			_, err = io.Copy(io.Discard, r)
			return err
		},
	}
}

func folderPut(t *testing.T, size int64, want artifact.Digest) contest {
	// Ours names the file when it is complete, and syncs its folders, too.
	return contest{"put into a folder", 0.8,
		func(ctx context.Context, round int) error {
			dir := t.TempDir()
			defer os.RemoveAll(dir) // it may be in memory
			f, err := os.Create(filepath.Join(dir, "a"))
			require.NoError(t, err)
			defer f.Close()
			got, err := artifact.FromReader(io.TeeReader(content(size), f))
			require.NoError(t, err)
			require.Equal(t, want, got)
			return f.Sync()
		},
		func(ctx context.Context, round int) error {
			dir := t.TempDir()
			defer os.RemoveAll(dir)
			store, err := dirartifact.Open(dir, nil)
			require.NoError(t, err)
			return store.Put(ctx, want, content(size), &artifact.PutOptions{Size: size})
		},
	}
}
