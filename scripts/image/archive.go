package main

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// writeArchive writes an index as a layout, named by tag, and packs that.
func writeArchive(file string, index v1.ImageIndex, tag string) (err error) {
	dir, err := os.MkdirTemp("", "image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	l, err := layout.Write(dir, mutate.IndexMediaType(empty.Index, types.OCIImageIndex))
	if err != nil {
		return err
	}
	if err := l.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag})); err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(packed(out, dir), out.Close())
}

// packed writes a folder's files in the order of their names, without owners and times.
func packed(out io.Writer, dir string) error {
	w := tar.NewWriter(out)
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if d.IsDir() {
			return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: time.Unix(0, 0)})
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(text)), ModTime: time.Unix(0, 0)}); err != nil {
			return err
		}
		return written(w, text)
	})
	return errors.Join(err, w.Close())
}

// check validates an archive: every digest, size, media type and layer. It prints a platform's files.
func check(file, platform string, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := unpack(file, dir); err != nil {
		return err
	}
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return err
	}
	if err := validate.Index(top); err != nil {
		return err
	}
	wanted, err := v1.ParsePlatform(platform)
	if err != nil {
		return err
	}
	indexes, err := partial.FindIndexes(top, match.MediaTypes(string(types.OCIImageIndex)))
	if err != nil || len(indexes) != 1 {
		return fmt.Errorf("%d indexes of images, want 1: %w", len(indexes), err)
	}
	images, err := partial.FindImages(indexes[0], match.Platforms(*wanted))
	if err != nil || len(images) != 1 {
		return fmt.Errorf("%d images of %s, want 1: %w", len(images), platform, err)
	}
	files := mutate.Extract(images[0])
	_, err = io.Copy(out, files)
	return errors.Join(err, files.Close())
}

// unpack writes an archive's files below dir and nowhere else. The validation of images takes a blob's name for its
// digest, so that is held against the content here.
func unpack(file, dir string) (err error) {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeDir {
			if err := root.MkdirAll(filepath.Clean(h.Name), 0o755); err != nil {
				return err
			}
			continue
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if digest, ok := strings.CutPrefix(h.Name, "blobs/sha256/"); ok && digest != fmt.Sprintf("%x", sha256.Sum256(text)) {
			return fmt.Errorf("%s has other content than its name says", h.Name)
		}
		if err := root.WriteFile(h.Name, text, 0o600); err != nil {
			return err
		}
	}
}
