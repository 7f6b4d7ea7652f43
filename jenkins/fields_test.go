package jenkins_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

func TestFields(t *testing.T) {
	type place struct {
		Region string `jenkins:"REGION"`
	}
	type release struct {
		SHA    string        `jenkins:"COMMIT"`
		Deploy bool          `jenkins:"DEPLOY"`
		Count  int8          `jenkins:"COUNT"`
		Share  float32       `jenkins:"SHARE"`
		Limit  time.Duration `jenkins:"LIMIT"`
		At     time.Time     `jenkins:"AT"`
		Note   string
		Place  place
	}
	f, err := jenkins.Fields[release]()
	require.NoError(t, err)
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	require.Equal(t, map[string]string{
		"COMMIT": "4f2", "DEPLOY": "true", "COUNT": "-3", "SHARE": "0.1", "LIMIT": "1m30s", "AT": "2026-02-03T04:05:06Z", "REGION": "eu",
	}, f(release{SHA: "4f2", Deploy: true, Count: -3, Share: 0.1, Limit: 90 * time.Second, At: at, Note: "n", Place: place{"eu"}}))
	_, err = jenkins.Fields[struct {
		A []string `jenkins:"A"`
		b string   `jenkins:"B"`
		C string   `jenkins:"C"`
		D *int     `jenkins:"D"`
		E string   `jenkins:"C"`
	}]()
	for _, text := range []string{"field A: a []string", "field b is not exported", "field D", "two fields are the parameter C"} {
		require.ErrorContains(t, err, text)
	}
	_, err = jenkins.Fields[int]()
	require.ErrorContains(t, err, "no struct")
}

// registry knows some images, after a while.
type registry struct {
	images map[string]artifact.Digest
	after  time.Time
	asked  int
}

func (r *registry) Digest(_ context.Context, ref string) (artifact.Digest, error) {
	r.asked++
	d, ok := r.images[ref]
	switch {
	case r.asked == 1:
		return "", errors.New("connection refused")
	case !ok || time.Now().Before(r.after):
		return "", fmt.Errorf("%s: %w", ref, artifact.ErrNotFound)
	}
	return d, nil
}

func TestTheRegistryIsAsked(t *testing.T) {
	ref := "registry.test/shop/web@" + digest
	for name, tc := range map[string]struct {
		r    registry
		want error
	}{
		"there":     {registry{images: map[string]artifact.Digest{ref: digest}}, nil},
		"there yet": {registry{images: map[string]artifact.Digest{ref: digest}, after: time.Unix(946684800, 0).Add(35 * time.Second)}, nil},
		"not there": {registry{}, jenkins.ErrNotInRegistry},
		"another":   {registry{images: map[string]artifact.Digest{ref: artifact.FromBytes([]byte("x"))}}, jenkins.ErrNotInRegistry},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
				s.AddJob(shop())
				opts := shopOptions
				opts.Registry = &tc.r
				e := newEngine(t, s, "team/shop", opts)
				e.run(t.Context())
				require.ErrorIs(t, e.err, tc.want)
				require.Greater(t, tc.r.asked, 1)
			})
		})
	}
}

func TestTypesOfParametersAreChecked(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		j := shop()
		j.Parameters = append(j.Parameters, jenkinstest.Parameter{Name: "DEPLOY", Type: jenkinstest.BooleanParameter}, jenkinstest.Parameter{Name: "ZIP", Type: jenkinstest.FileParameter})
		s.AddJob(j)
		job, err := jenkins.NewJob(connect(t, s, nil), j.Name, func(map[string]string) map[string]string { return map[string]string{"DEPLOY": "yes", "ZIP": "x"} }, jenkins.JobOptions{})
		require.NoError(t, err)
		p := &process{engine: newEngine(t, s, j.Name, shopOptions), ctx: t.Context()}
		_, err = job.Start(p.call(0), nil)
		require.ErrorIs(t, err, jenkins.ErrBoolean)
		require.ErrorIs(t, err, jenkins.ErrFile)
		require.Zero(t, len(s.Queue()))
	})
}
