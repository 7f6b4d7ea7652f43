package jenkins_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

func TestProvenance(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(shop())
		e := newEngine(t, s, "team/shop", shopOptions)
		e.run(t.Context())
		require.NoError(t, e.err)
		c, err := jenkins.New(jenkins.Options{URL: s.URL(), Transport: s.Transport(), User: jenkinstest.AdminUser, Token: jenkinstest.AdminToken})
		require.NoError(t, err)
		commit := artifact.Artifact{Kind: artifact.KindCommit, Name: "shop", Version: strings.Repeat("a", 40), Location: "https://git.test/shop.git"}
		set, err := e.set.With(commit)
		require.NoError(t, err)

		p, err := c.Provenance(t.Context(), set)
		require.NoError(t, err)
		require.NoError(t, p.Validate())
		require.Equal(t, c.BuilderID(), p.RunDetails.Builder.ID)
		require.Equal(t, strings.TrimSuffix(s.URL(), "/"), c.BuilderID())
		require.Equal(t, []evidence.Resource{{Name: "shop", URI: "git+https://git.test/shop.git", Digest: map[string]string{"gitCommit": commit.Version}}},
			p.BuildDefinition.ResolvedDependencies)
		var external struct {
			Job        string
			Parameters map[string]string
		}
		require.NoError(t, json.Unmarshal(p.BuildDefinition.ExternalParameters, &external))
		require.Equal(t, "team/shop", external.Job)
		require.Equal(t, e.key, external.Parameters[jenkins.DefaultKeyParameter])
		require.Contains(t, p.RunDetails.Metadata.InvocationID, "/job/team/job/shop/1/")
		require.False(t, p.RunDetails.Metadata.FinishedOn.Before(p.RunDetails.Metadata.StartedOn))

		image, _ := set.Find(artifact.KindImage, "shop/web")
		two, err := set.With(image.WithName("shop/api").WithMetadata(jenkins.MetaBuild, "2"))
		require.NoError(t, err)
		alone, err := artifact.NewSet(commit)
		require.NoError(t, err)
		foreign, err := set.With(artifact.Artifact{Kind: artifact.KindImage, Name: "shop/proxy", Digest: artifact.FromBytes([]byte("from elsewhere"))})
		require.NoError(t, err)
		for _, bad := range []artifact.Set{two, alone, foreign, {}} {
			_, err = c.Provenance(t.Context(), bad)
			require.ErrorIs(t, err, jenkins.ErrNoBuild)
		}
	})
}
