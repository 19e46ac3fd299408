package bedrock

import (
	"context"
	"errors"
	"fmt"

	"example.com/cloister"
	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/envelope"
)

// ReaderConfig is what a Reader needs.
type ReaderConfig struct {
	Account cloister.AccountID
	Store   Store
	Blobs   *blob.Store
	Keys    Keys
	Owned   DataKeys
}

// Reader opens the artifacts of custom models without a running service, with the caller's own right to
// their keys.
type Reader struct{ s *Service }

// NewReader makes a Reader.
func NewReader(c ReaderConfig) *Reader {
	return &Reader{&Service{Config: Config{Account: c.Account, Store: c.Store, Blobs: c.Blobs, Keys: c.Keys, Owned: c.Owned}}}
}

// OpenModel is an open custom model. Its files are plaintext when read.
type OpenModel struct {
	Files []OpenFile
	blobs []*blob.Blob
}

// OpenFile is one file of an open model.
type OpenFile struct {
	Path string
	*envelope.Reader
}

// Close closes the files.
func (m *OpenModel) Close() error {
	var failures []error
	for _, b := range m.blobs {
		failures = append(failures, b.Close())
	}
	return errors.Join(failures...)
}

// Open opens a model of the call's region, found by name or ARN.
func (r *Reader) Open(ctx context.Context, identifier string) (_ *OpenModel, err error) {
	model, err := r.s.Store.Model(ctx, r.s.Account, cloister.CallFrom(ctx).Region, identifier)
	if err != nil {
		return nil, fmt.Errorf("custom model %s: %w", identifier, err)
	}
	key, err := r.s.callerKey(ctx, model)
	if err != nil {
		return nil, err
	}
	defer key.Zero()
	artifacts, err := r.s.Store.Artifacts(ctx, model.ARN)
	if err != nil {
		return nil, err
	}
	open := &OpenModel{}
	defer func() {
		if err != nil {
			err = errors.Join(err, open.Close())
		}
	}()
	for _, a := range artifacts {
		sealed, err := r.s.Blobs.Open(a.Blob)
		if err != nil {
			return nil, err
		}
		open.blobs = append(open.blobs, sealed)
		file, err := envelope.Open(sealed, sealed.Size(), *key, sealContext(model.ARN, a.Path))
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", a.Path, err)
		}
		open.Files = append(open.Files, OpenFile{a.Path, file})
	}
	return open, nil
}
