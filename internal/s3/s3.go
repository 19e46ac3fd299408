// Package s3 serves the part of Amazon S3 that model customization needs: buckets, default encryption,
// objects with SSE-S3 or SSE-KMS, ranges, lists and multipart uploads. Its methods have the signatures of
// the SDK's *s3.Client. It is no HTTP server (package api is) and no key store (it is given one).
//
// The one thing to know: every object is sealed at rest with a data key of its own, and an object exists
// from the moment one SQL transaction commits a row that names blobs already durable on disk. Everything
// before leaves at most blobs without a row, which Collect deletes at the next start; everything after
// is safe from kill -9 and power loss. Bodies stream: memory does not grow with an object's size.
//
// What is not served (copy, versions, conditional requests but IfMatch on reads, SSE-C, ACLs, tags, object
// lock) is refused with NotImplemented and never ignored.
//
// Source: Amazon S3 API Reference and User Guide ("Protecting data with server-side encryption", "Checking
// object integrity", "Uploading and copying objects using multipart upload").
package s3

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"example.com/cloister"
	"example.com/cloister/internal/blob"
)

// DataKeys is what sealing needs of a key store. *kms.Client of the SDK has these methods.
type DataKeys interface {
	GenerateDataKey(context.Context, *awskms.GenerateDataKeyInput, ...func(*awskms.Options)) (*awskms.GenerateDataKeyOutput, error)
	Decrypt(context.Context, *awskms.DecryptInput, ...func(*awskms.Options)) (*awskms.DecryptOutput, error)
}

// Config is what a Service needs. All fields are required.
type Config struct {
	Account cloister.AccountID
	Store   Store
	Blobs   *blob.Store
	// Keys is the customer's KMS, called as the caller via S3, for SSE-KMS.
	Keys DataKeys
	// Owned wraps the data keys of SSE-S3; key ids mean nothing to it.
	Owned DataKeys
	Auth  cloister.Authorizer
	Log   *slog.Logger
	Now   func() time.Time
	// Rand draws ids and ETags; crypto/rand.Reader outside tests.
	Rand io.Reader
}

// Service implements S3. It is safe for concurrent use. Call Collect before the first request.
type Service struct {
	account cloister.AccountID
	store   Store
	blobs   *blob.Store
	keys    DataKeys
	owned   DataKeys
	auth    cloister.Authorizer
	log     *slog.Logger
	now     func() time.Time
	rand    io.Reader
	cache   *keyCache
	pins    pins
}

// New makes a Service.
func New(c Config) *Service {
	return &Service{
		account: c.Account, store: c.Store, blobs: c.Blobs, keys: c.Keys, owned: c.Owned, auth: c.Auth,
		log: c.Log, now: c.Now, rand: c.Rand, cache: newKeyCache(c.Now),
		pins: pins{open: map[string]int{}, waiting: map[string][]blob.ID{}},
	}
}

// authorize asks for one action. S3's name for a refusal differs from other services'.
func (s *Service) authorize(ctx context.Context, action, resource string) error {
	err := s.auth.Authorize(ctx, cloister.Access{Action: action, Resource: resource})
	if err != nil && cloister.Code(err) == "AccessDeniedException" {
		return errAccessDenied(cloister.Message(err)).WithCause(err)
	}
	return err
}

func (s *Service) onBucket(ctx context.Context, action string, bucket *string) error {
	return s.authorize(ctx, action, bucketARN(aws.ToString(bucket)))
}

func (s *Service) onObject(ctx context.Context, action string, bucket, key *string) error {
	return s.authorize(ctx, action, objectARN(aws.ToString(bucket), aws.ToString(key)))
}

func bucketARN(bucket string) string {
	return cloister.NewARN("s3", "", "", bucket).String()
}

func objectARN(bucket, key string) string { return bucketARN(bucket) + "/" + key }

// moment is the present in the resolution of the Last-Modified header, so that every answer agrees.
func (s *Service) moment() time.Time { return s.now().UTC().Truncate(time.Second) }

// bucket finds a bucket of the account, checking what requests say about its owner.
func (s *Service) bucket(ctx context.Context, name, expectedOwner *string) (Bucket, error) {
	b, err := s.store.Bucket(ctx, aws.ToString(name))
	if err != nil {
		return Bucket{}, bucketError(err, aws.ToString(name))
	}
	if b.Account != s.account || (expectedOwner != nil && *expectedOwner != string(b.Account)) {
		return Bucket{}, errAccessDenied("Access Denied")
	}
	return b, nil
}

// pins holds back the deletion of blobs that open answers still read.
type pins struct {
	// lookup is held for reading from before an object's row is read until it is pinned, and for writing
	// by whoever has committed a deletion: after that, the deleted object is pinned or never will be.
	lookup sync.RWMutex

	mu      sync.Mutex // guards the rest
	open    map[string]int
	waiting map[string][]blob.ID // blobs of deleted objects that are open
}

func (p *pins) pin(object string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[object]++
}

// unpin lets go of an object and returns the blobs that can be deleted now.
func (p *pins) unpin(object string) []blob.ID {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[object]--; p.open[object] > 0 {
		return nil
	}
	delete(p.open, object)
	blobs := p.waiting[object]
	delete(p.waiting, object)
	return blobs
}

// release says that the rows of removed objects are gone, and returns the blobs that can be deleted now.
func (p *pins) release(removed []Removed) []blob.ID {
	p.lookup.Lock() // waits for those who read a row before it went
	defer p.lookup.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	var free []blob.ID
	for _, r := range removed {
		if p.open[r.Object] > 0 {
			p.waiting[r.Object] = append(p.waiting[r.Object], r.Blobs...)
		} else {
			free = append(free, r.Blobs...)
		}
	}
	return free
}
