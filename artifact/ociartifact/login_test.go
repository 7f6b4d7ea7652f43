package ociartifact_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact/ociartifact"
)

const robot, secret = "robot$shop", "s3cret"

// docker writes Docker's configuration, and a credential helper, for the client that is returned.
func docker(t *testing.T, fake *fakeRegistry, config map[string]any) *ociartifact.Client {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	data, err := json.Marshal(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), data, 0o600))
	helper := fmt.Sprintf("#!/bin/sh\nread host\n[ \"$1 $host\" = \"get %s\" ] || { echo 'credentials not found in native keychain'; exit 1; }\n"+
		"echo '{\"ServerURL\":\"%s\",\"Username\":\"%s\",\"Secret\":\"%s\"}'\n", fake.host, fake.host, robot, secret)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docker-credential-ecr-login"), []byte(helper), 0o700))
	client, err := ociartifact.New(&ociartifact.Options{PlainHTTP: []string{fake.host}})
	require.NoError(t, err)
	return client
}

func auths(host, user, password string) map[string]any {
	return map[string]any{"auths": map[string]any{host: map[string]string{
		"auth": base64.StdEncoding.EncodeToString([]byte(user + ":" + password)),
	}}}
}

// basic has the registry ask for a name and a password, as ECR does.
func basic(fake *fakeRegistry) {
	fake.before = func(w http.ResponseWriter, r *http.Request) bool {
		user, password, _ := r.BasicAuth()
		if user == robot && password == secret {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
}

// bearer has it ask for a token, which is had for name and password, as Harbor and Docker Hub do.
func bearer(fake *fakeRegistry) {
	fake.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			user, password, _ := r.BasicAuth()
			if user != robot || password != secret || r.URL.Query().Get("service") != "shop-registry" {
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
			scopes := strings.Join(r.URL.Query()["scope"], " ")
			_ = json.NewEncoder(w).Encode(map[string]string{"token": base64.StdEncoding.EncodeToString([]byte(scopes))})
			return true
		}
		repo, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/manifests/")
		repo, _, _ = strings.Cut(repo, "/blobs/")
		repo, _, _ = strings.Cut(repo, "/tags/")
		repo, _, _ = strings.Cut(repo, "/referrers/")
		action := "pull"
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			action = "push"
		}
		token, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		_, granted, _ := strings.Cut(string(token)+" ", "repository:"+repo+":")
		granted, _, _ = strings.Cut(granted, " ")
		if strings.Contains(granted, action) {
			return false
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="shop-registry",scope="repository:%s:pull"`, fake.host, repo))
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
}

func TestLogin(t *testing.T) {
	for scheme, require401 := range map[string]func(*fakeRegistry){"basic": basic, "bearer": bearer} {
		fake, anonymous := start(t)
		push(t, fake.host+"/shop/web", "live")
		require401(fake)
		for how, config := range map[string]map[string]any{
			"password":    auths(fake.host, robot, secret),
			"cred helper": {"credHelpers": map[string]string{fake.host: "ecr-login"}},
			"cred store":  {"credsStore": "ecr-login"},
		} {
			t.Run(scheme+" by "+how, func(t *testing.T) {
				client := docker(t, fake, config)
				_, err := client.Digest(t.Context(), fake.host+"/shop/web:live")
				require.NoError(t, err)
				_, err = client.Copy(t.Context(), fake.host+"/shop/web:live", fake.host+"/prod/web:live", nil)
				require.NoError(t, err)
				store, err := ociartifact.Open(t.Context(), client, fake.host+"/shop/store", nil)
				require.NoError(t, err)
				_, err = store.PutSet(t.Context(), set(t))
				require.NoError(t, err)
			})
		}
		_, err := anonymous.Digest(t.Context(), fake.host+"/shop/web:live")
		require.ErrorIs(t, err, ociartifact.ErrDenied)
		client := docker(t, fake, auths(fake.host, robot, "wrong-pass"))
		_, err = client.Digest(t.Context(), fake.host+"/shop/web:live")
		require.ErrorIs(t, err, ociartifact.ErrDenied)
		require.NotContains(t, err.Error(), "wrong-pass")
	}
}

func TestDockerCredentialsRefuses(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	_, err := ociartifact.New(nil)
	require.NoError(t, err, "no configuration is no login")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte("{"), 0o600))
	_, err = ociartifact.New(nil)
	require.ErrorContains(t, err, "docker's configuration")
}

func TestCredentialsAreNotPrinted(t *testing.T) {
	t.Parallel()
	c := ociartifact.Credential{Username: robot, Password: secret}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		require.NotContains(t, fmt.Sprintf(format, c), secret)
		require.NotContains(t, fmt.Sprintf(format, &c), secret)
	}
}
