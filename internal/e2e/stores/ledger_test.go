package stores

import (
	"bytes"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/promotion"
	"github.com/gennaker/gennaker/artifact/promotion/promotiontest"
	"github.com/gennaker/gennaker/artifact/s3artifact"
	"github.com/gennaker/gennaker/internal/e2e/miniotest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/boltstore"
	"github.com/gennaker/gennaker/pipeline/s3store"
	"github.com/gennaker/gennaker/pipeline/storetest"
	"github.com/gennaker/gennaker/stage"
)

// The ledger of promotions keeps its contract on every state store; all but bolt are opened anew for each writer.
func TestLedgerConformance(t *testing.T) {
	for name, start := range servers() {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			promotiontest.RunLog(t, func(t *testing.T) func() promotion.Log { return ledgerAt(t, server.place(t)) })
		})
	}
	t.Run("boltstore", func(t *testing.T) {
		promotiontest.RunLog(t, func(t *testing.T) func() promotion.Log {
			store, err := boltstore.Open(filepath.Join(t.TempDir(), "state.db"), boltstore.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, store.Close()) })
			return func() promotion.Log { return stage.LedgerLog(store, "shop") }
		})
	})
}

func ledgerAt(t *testing.T, place storetest.Place) func() promotion.Log {
	return func() promotion.Log {
		store, err := place()
		require.NoError(t, err)
		if c, ok := store.(interface{ Close() error }); ok {
			t.Cleanup(func() { _ = c.Close() }) // The server may be gone before.
		}
		return stage.LedgerLog(store, "shop")
	}
}

// Sets, evidence and ledger are in one MinIO. What one process has promoted, another one knows, with the reasons; evidence that
// is changed in the bucket counts no longer.
func TestGatekeepersOnMinIO(t *testing.T) {
	server := miniotest.Start(t)
	client, bucket := server.Client(t), server.Bucket(t)
	key, err := evidence.NewKey("release")
	require.NoError(t, err)
	var n atomic.Int64
	process := func() *promotion.Gatekeeper {
		store, err := s3artifact.Open(t.Context(), client, bucket, &s3artifact.Options{Prefix: "artifacts"})
		require.NoError(t, err)
		var states pipeline.Store
		states, err = s3store.Open(t.Context(), s3store.Config{Endpoint: server.Addr(), Bucket: bucket, Prefix: "state",
			Credentials: credentials.NewStaticV4(miniotest.AccessKey, miniotest.SecretKey, "")})
		require.NoError(t, err)
		g, err := promotion.NewGatekeeper(promotion.Config{
			Application: "shop", Log: stage.LedgerLog(states, "shop"), Store: store, Signer: key, Trust: evidence.FullTrust(key.Public()),
			Environments: []promotion.Environment{
				{Name: "test", Rules: promotion.Rules{RolloutVerifies: true}},
				{Name: "prod", Rules: promotion.Rules{From: []promotion.Upstream{{Environment: "test"}}, Tests: []string{"smoke"}, Approvals: 2}},
			},
		})
		require.NoError(t, err)
		return g
	}
	set, err := artifact.NewSet(artifact.Artifact{Kind: artifact.KindImage, Name: "shop/web", Digest: artifact.FromBytes([]byte("image"))})
	require.NoError(t, err)
	promote := func(env, by string) promotion.Entry {
		key := fmt.Sprint(env, n.Add(1))
		_, err := process().Request(t.Context(), promotion.Request{Key: key, Environment: env, Set: set, By: by})
		require.NoError(t, err)
		e, err := process().Enter(t.Context(), env, key)
		require.NoError(t, err)
		if e.Started != nil {
			_, err = process().Deployed(t.Context(), env, key, e.Set.Digest(), e.Summary)
			require.NoError(t, err)
		} else {
			require.NoError(t, process().Withdraw(t.Context(), env, key, "not yet"))
		}
		return e
	}
	_, err = process().Register(t.Context(), set, "jenkins")
	require.NoError(t, err)
	require.NotNil(t, promote("test", "dora").Started)
	require.Contains(t, promote("prod", "dora").Verdict.String(), "missing test smoke evidence; approvals: 0 of 2")
	now := time.Now().Add(-time.Second)
	smoke, err := process().Attest(t.Context(), set, evidence.NewTestResult("smoke", evidence.Passed, now).In("shop", "test"))
	require.NoError(t, err)
	for _, person := range []string{"alice", "bob"} {
		_, err = process().Attest(t.Context(), set, evidence.Approval{Environment: "prod", Approver: person, Approved: true, At: now})
		require.NoError(t, err)
	}
	require.NotNil(t, promote("prod", "olga").Started)
	state, err := process().State(t.Context(), "prod")
	require.NoError(t, err)
	require.Equal(t, set.Digest(), state.Set)
	require.Equal(t, "olga", state.By)
	require.WithinDuration(t, time.Now(), state.Since, time.Minute)

	name := "artifacts/evidence/sha256-" + set.Digest().Hex() + "/" + smoke.Hex()
	object, err := client.GetObject(t.Context(), bucket, name, minio.GetObjectOptions{})
	require.NoError(t, err)
	var content bytes.Buffer
	_, err = content.ReadFrom(object)
	require.NoError(t, err)
	content.Bytes()[content.Len()/2] ^= 1
	_, err = client.PutObject(t.Context(), bucket, name, &content, int64(content.Len()), minio.PutObjectOptions{})
	require.NoError(t, err)
	v, err := process().Ask(t.Context(), set, "prod")
	require.NoError(t, err)
	require.Contains(t, v.String(), "missing test smoke evidence")
	require.Len(t, v.Refused, 1)
	require.Contains(t, v.Refused[0], evidence.ErrTampered.Error())
}
