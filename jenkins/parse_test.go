package jenkins

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
)

const testDigest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func TestQueueID(t *testing.T) {
	for location, want := range map[string]int64{
		"http://ci.test/queue/item/5/":                          5,
		"https://other/jenkins/queue/item/2969441884878332554/": 2969441884878332554,
		"/queue/item/7":     7,
		"queue/item/7/":     7,
		"/job/shop/":        0,
		"/queue/item/x/":    0,
		"/queue/item/-1/":   0,
		"":                  0,
		"http://%zz":        0,
		"/queue/item/7/api": 0,
	} {
		id, ok := queueID(location)
		require.Equal(t, want != 0, ok, location)
		if ok {
			require.Equal(t, want, id)
		}
	}
}

func FuzzQueueID(f *testing.F) {
	f.Add("http://ci.test/queue/item/5/")
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := queueID(s)
		if ok {
			require.Positive(t, id)
			require.Contains(t, s, "item/")
		}
	})
}

func TestIsTask(t *testing.T) {
	for _, tc := range []struct {
		url, job string
		want     bool
	}{
		{"http://ci.test/job/team/job/shop/", "team/shop", true},
		{"https://public.test/ci/job/team/job/shop", "team/shop", true},
		{"http://ci.test/job/team/job/shop/", "shop", false},
		{"http://ci.test/job/other/job/team/job/shop/", "team/shop", false},
		{"http://ci.test/job/team/job/shop/14/", "team/shop", false},
		{"http://ci.test/job/r/job/feature%252Fx/", "r/feature%2Fx", true},
		{"http://ci.test/job/my%20shop/", "my shop", true},
		{"http://ci.test/job/myshop/", "shop", false},
		{"", "shop", false},
	} {
		require.Equal(t, tc.want, isTask(tc.url, tc.job), tc)
	}
	require.Equal(t, "team/shop/feature%2Flogin", Branch("team/shop/", "feature/login"))
}

func FuzzJobPath(f *testing.F) {
	f.Add("team/shop/feature%2Flogin")
	f.Add("a b/ü?#")
	f.Fuzz(func(t *testing.T, name string) {
		if !validName(name) {
			return
		}
		u, err := url.Parse("http://ci.test" + jobPath(name))
		require.NoError(t, err)
		require.Empty(t, u.RawQuery)
		require.Empty(t, u.Fragment)
		require.Equal(t, 2*len(strings.Split(name, "/")), strings.Count(u.EscapedPath(), "/"))
		require.True(t, isTask("http://ci.test/prefix"+jobPath(name)+"/", name))
	})
}

func TestProperties(t *testing.T) {
	got, err := parseProperties([]byte("\ufeff# comment\r\n! other\r\nA=1\r\n B : two words \nC three\\\n   more\nD\nE=\"quoted\"\nexport F='x'\nG\\ H=\\u00fc\\t!\nA=2\npath=c:\\\\tmp\n"))
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"A": "2", "B": "two words", "C": "threemore", "D": "", "E": "quoted", "F": "x", "G H": "ü\t!", "path": `c:\tmp`,
	}, got)
	_, err = parseProperties([]byte("a=1\nb=\\u12"))
	require.ErrorContains(t, err, "line 2")
	_, err = parseProperties([]byte("a=\xff"))
	require.ErrorContains(t, err, "UTF-8")
}

func FuzzProperties(f *testing.F) {
	f.Add([]byte("a=b\\\n c\n#x\nexport q='z'\n\\u00e4:1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		props, err := parseProperties(data)
		if err != nil {
			require.Nil(t, props)
		}
	})
}

func TestDetectImage(t *testing.T) {
	pinned := "registry.test/shop/web@" + testDigest
	for name, tc := range map[string]struct {
		data string
		img  Image
	}{
		"buildx":          {`{"containerimage.config.digest":"sha256:00","containerimage.digest":"` + testDigest + `","image.name":"registry.test/shop/web:1,registry.test/shop/web:latest"}`, Image{}},
		"bake":            {`{"web":{"containerimage.digest":"` + testDigest + `","image.name":"registry.test/shop/web:1"}}`, Image{}},
		"jib":             {`{"image":"registry.test/shop/web:1","imageId":"sha256:11","imageDigest":"` + testDigest + `","tags":["1"]}`, Image{}},
		"kaniko":          {"registry.test/shop/web@" + testDigest + "\n", Image{}},
		"kaniko names":    {"registry.test/shop/web:1@" + testDigest + "\nmirror.test/shop/web:1@" + testDigest + "\n", Image{}},
		"kaniko digest":   {testDigest + "\n", Image{Repository: "registry.test/shop/web"}},
		"properties":      {"IMAGE=registry.test/shop/web:1\nDIGEST=" + testDigest + "\n", Image{}},
		"one property":    {"image_ref=" + pinned, Image{}},
		"repository, tag": {`{"repository":"registry.test/shop/web","tag":"1","digest":"` + testDigest + `"}`, Image{}},
		"only a digest":   {"DIGEST=" + testDigest, Image{Repository: "registry.test/shop/web:1"}},
		"string":          {`"` + pinned + `"`, Image{}},
		"named":           {"X=registry.test/shop/web\nY=" + testDigest, Image{Decode: PropertiesImage("X", "Y")}},
		"inner":           {`{"build":{"ref":"` + pinned + `"}}`, Image{Decode: JSONImage("build.ref", "")}},
	} {
		a, err := tc.img.artifact([]byte(tc.data))
		require.NoError(t, err, name)
		require.Equal(t, pinned, a.Location, name)
		require.Equal(t, "shop/web", a.Name)
	}
	for name, tc := range map[string]struct {
		data string
		want error
	}{
		"tag only":      {"IMAGE=registry.test/shop/web:1\n", artifact.ErrNoDigest},
		"bare tag":      {"registry.test/shop/web:1\n", artifact.ErrNoDigest},
		"two":           {pinned + "\n" + strings.ReplaceAll(pinned, "08", "09"), ErrFormat},
		"two in bake":   {`{"a":{"containerimage.digest":"x"},"b":{"containerimage.digest":"x"}}`, ErrFormat},
		"contradiction": {"IMAGE=" + pinned + "\nDIGEST=sha256:" + strings.Repeat("0", 64), ErrFormat},
		"no repository": {testDigest, ErrFormat},
		"nothing":       {`{"commit":"a"}`, ErrFormat},
		"several":       {"IMAGE=a\nimage=b\n", ErrFormat},
		"cut":           {`{"image":`, ErrFormat},
		"empty":         {"  \n", ErrFormat},
	} {
		_, err := Image{}.artifact([]byte(tc.data))
		require.ErrorIs(t, err, tc.want, name)
	}
}

func FuzzImage(f *testing.F) {
	f.Add([]byte(`{"image":"a/b:1","digest":"` + testDigest + `"}`))
	f.Add([]byte("IMAGE=a/b@" + testDigest))
	f.Add([]byte("a/b@" + testDigest + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := Image{Repository: "registry.test/x"}.artifact(data)
		if err == nil {
			require.NoError(t, a.Validate())
			require.NotEmpty(t, a.Digest)
		}
	})
}

func FuzzSnippet(f *testing.F) {
	f.Add([]byte("<html><head><title>Error 403</title></head><body><!-- x -->no&nbsp;"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := snippet(data)
		require.LessOrEqual(t, len(s), maxSnippet+len("…"))
		require.NotContains(t, s, "\n")
	})
}
