package artifact_test

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gennaker/gennaker/artifact"
)

const webDigest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func ExampleImage() {
	web, err := artifact.Image("registry.example.com:5000/shop/web:1.4.2@" + webDigest)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(web)
	fmt.Println(web.Location)

	_, err = artifact.Image("registry.example.com:5000/shop/web:1.4.2")
	fmt.Println(errors.Is(err, artifact.ErrNoDigest))
	// Output:
	// image shop/web:1.4.2@sha256:9f86d081884c
	// registry.example.com:5000/shop/web@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
	// true
}

func ExampleNewSet() {
	web, _ := artifact.Image("registry.example.com/shop/web:1.4.2@" + webDigest)
	config := artifact.Artifact{
		Kind: artifact.KindManifests, Name: "shop", Version: "1.4.2", Digest: artifact.FromBytes([]byte("kind: Service\n")),
	}
	one, err := artifact.NewSet(web, config)
	if err != nil {
		fmt.Println(err)
		return
	}
	other, _ := artifact.NewSet(config, web)
	fmt.Println(one)
	fmt.Println(one.Digest() == other.Digest())

	_, err = artifact.NewSet(artifact.Artifact{Kind: artifact.KindImage, Name: "shop/api", Version: "latest"})
	fmt.Println(err)
	// Output:
	// {image shop/web:1.4.2@sha256:9f86d081884c, manifests shop:1.4.2@sha256:0986089a4d6c}
	// true
	// artifact set: artifact image "shop/api": no digest: what is deployed must be pinned; record the digest that the build or the registry reports
}

func ExampleParseReference() {
	ref, err := artifact.ParseReference("nginx:1.27")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ref.Normalized())
	fmt.Println(ref.Pinned())

	pinned, _ := ref.WithDigest(webDigest)
	fmt.Println(pinned)
	// Output:
	// docker.io/library/nginx:1.27
	// false
	// nginx:1.27@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
}

func ExampleSet_UnmarshalJSON() {
	web, _ := artifact.Image("registry.example.com/shop/web@" + webDigest)
	set, _ := artifact.NewSet(web)
	data, _ := json.Marshal(set)
	fmt.Println(string(data))

	var back artifact.Set
	err := json.Unmarshal(data, &back)
	fmt.Println(err, back.Equal(set))
	// Output:
	// {"artifacts":[{"digest":"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","kind":"image","location":"registry.example.com/shop/web@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","name":"shop/web"}]}
	// <nil> true
}

func ExampleParseDigest() {
	_, err := artifact.ParseDigest("sha256:9f86")
	fmt.Println(err)
	// Output: digest "sha256:9f86": invalid: 4 hexadecimal digits, want 64
}
