// Command image writes the image of Cloister as an OCI archive: the layout of the OCI image specification in a tar, with an
// index of one image for each platform. An image is from scratch: the static binary, an empty folder /work that it may
// write to, and a user without a name. The same binaries give the same bytes. No registry and no Docker is needed.
//
//	image write FILE VERSION PLATFORM=BINARY...    such as linux/amd64=dist/cloister
//	image check FILE PLATFORM                      validates everything; prints the platform's file system as a tar
//
// Source: github.com/opencontainers/image-spec v1.1.
package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	switch {
	case len(args) > 3 && args[0] == "write":
		index, err := build(args[2], args[3:])
		if err != nil {
			return err
		}
		return writeArchive(args[1], index, args[2])
	case len(args) == 3 && args[0] == "check":
		return check(args[1], args[2], out)
	}
	return errors.New("usage: image write FILE VERSION PLATFORM=BINARY... | image check FILE PLATFORM")
}

// build makes the index of the images.
func build(version string, args []string) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arg := range args {
		name, file, _ := strings.Cut(arg, "=")
		platform, err := v1.ParsePlatform(name)
		if err != nil {
			return nil, err
		}
		binary, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		image, err := platformImage(version, platform, binary)
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	return index, nil
}

// user is nobody's number, the one of distroless images.
const user = 65532

func platformImage(version string, platform *v1.Platform, binary []byte) (v1.Image, error) {
	files, err := fileSystem(binary)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil }
	layer, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		OS: platform.OS, Architecture: platform.Architecture, RootFS: v1.RootFS{Type: "layers"}, Created: v1.Time{Time: time.Unix(0, 0).UTC()},
		Config: v1.Config{
			Entrypoint: []string{"/cloister"}, User: fmt.Sprintf("%d:%d", user, user), WorkingDir: "/work",
			Labels: map[string]string{
				"org.opencontainers.image.title":       "cloister",
				"org.opencontainers.image.description": "Audits what model customization in Amazon Bedrock touches",
				"org.opencontainers.image.version":     version,
				"org.opencontainers.image.licenses":    "Apache-2.0",
			},
		},
	}); err != nil {
		return nil, err
	}
	return mutate.AppendLayers(image, layer)
}

// fileSystem is the one layer.
func fileSystem(binary []byte) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := errors.Join(
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "cloister", Mode: 0o755, Size: int64(len(binary)), ModTime: time.Unix(0, 0)}),
		written(w, binary),
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "work/", Mode: 0o755, Uid: user, Gid: user, ModTime: time.Unix(0, 0)}),
		w.Close(),
	)
	return b.Bytes(), err
}

func written(w io.Writer, b []byte) error {
	_, err := w.Write(b)
	return err
}
