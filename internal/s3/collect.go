package s3

import (
	"context"
	"iter"

	"example.com/cloister/internal/blob"
)

// Collect deletes the blobs that no object or upload refers to: what a crash left between a blob and its
// row. It returns how many. No request may be served meanwhile; the server calls it at start. Both lists
// are in the order of ids, so it needs no memory for them; each blob is looked up again before it goes.
func (s *Service) Collect(ctx context.Context) (int, error) {
	next, stop := iter.Pull2(s.store.Blobs(ctx))
	defer stop()
	used, err, more := next()
	n := 0
	for id, listErr := range s.blobs.List(ctx) {
		if listErr != nil {
			return n, listErr
		}
		for more && err == nil && used < id {
			used, err, more = next()
		}
		if more && err != nil {
			return n, err
		}
		if more && used == id {
			continue
		}
		deleted, err := s.collectOne(ctx, id)
		if err != nil {
			return n, err
		}
		n += deleted
	}
	return n, nil
}

func (s *Service) collectOne(ctx context.Context, id blob.ID) (int, error) {
	if used, err := s.store.HasBlob(ctx, id); used || err != nil {
		return 0, err
	}
	if err := s.blobs.Delete(ctx, id); err != nil {
		return 0, err
	}
	return 1, nil
}
