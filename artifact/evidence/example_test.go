package evidence_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/memartifact"
)

func Example() {
	ctx := context.Background()
	set, _ := artifact.NewSet(artifact.Artifact{Kind: artifact.KindImage, Name: "shop/web", Digest: artifact.FromBytes([]byte("image"))})
	ci, _ := evidence.NewKey("ci")
	stranger, _ := evidence.NewKey("stranger")
	store := evidence.NewStore(memartifact.New(nil))

	for _, key := range []*evidence.Key{ci, stranger} {
		result := evidence.NewTestResult("smoke", evidence.Passed, time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC))
		statement, _ := evidence.About(set, result)
		envelope, _ := evidence.Sign(ctx, statement, key)
		if _, err := store.Put(ctx, set.Digest(), envelope); err != nil {
			fmt.Println(err)
		}
	}

	good, refused, err := store.Open(ctx, set, evidence.FullTrust(ci.Public()))
	for _, v := range good {
		fmt.Println(v.Predicate().(evidence.TestResult).Suite(), v.Predicate().(evidence.TestResult).Result, "by", v.Signers()[0].Name)
	}
	fmt.Println(len(refused), errors.Is(refused[0], evidence.ErrForeign), err)
	// Output:
	// smoke PASSED by ci
	// 1 true <nil>
}
