package s3artifact

import (
	"context"
	"fmt"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/lifecycle"
)

// ExpireUploads adds a rule to a bucket's lifecycle by which the service removes uploads below prefix that were begun days
// ago and not completed, as a killed process leaves them; days is at least 1. Rules that are there stay; one that this
// function made for the same prefix is replaced. The client needs the rights to read and write the bucket's lifecycle.
//
// MinIO does this for every bucket, after a day unless its setting "api stale_uploads_expiry" says otherwise, and accepts no
// such rule; the error that it answers with, a [minio.ErrorResponse], is returned.
func ExpireUploads(ctx context.Context, client *minio.Client, bucket, prefix string, days int) error {
	if days < 1 {
		return fmt.Errorf("artifact bucket %q: uploads are to expire after %d days; want at least 1", bucket, days)
	}
	rules, err := client.GetBucketLifecycle(ctx, bucket)
	if err != nil && minio.ToErrorResponse(err).Code != "NoSuchLifecycleConfiguration" {
		return fmt.Errorf("artifact bucket %q: lifecycle: %w", bucket, err)
	}
	if rules == nil {
		rules = lifecycle.NewConfiguration()
	}
	rule := lifecycle.Rule{
		ID: "gennaker-uploads-" + prefix, Status: "Enabled", RuleFilter: lifecycle.Filter{Prefix: prefix},
		AbortIncompleteMultipartUpload: lifecycle.AbortIncompleteMultipartUpload{DaysAfterInitiation: lifecycle.ExpirationDays(days)},
	}
	kept := rules.Rules[:0]
	for _, old := range rules.Rules {
		if old.ID != rule.ID {
			kept = append(kept, old)
		}
	}
	rules.Rules = append(kept, rule)
	if err := client.SetBucketLifecycle(ctx, bucket, rules); err != nil {
		return fmt.Errorf("artifact bucket %q: lifecycle: %w", bucket, err)
	}
	return nil
}
