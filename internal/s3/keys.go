package s3

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.com/cloister"
	"example.com/cloister/internal/envelope"
)

// Bounds of the cache of bucket keys. A key that was disabled keeps serving bucket keys for their lifetime
// at most; AWS calls its own "time-limited" without a figure.
const (
	bucketKeyLifetime = time.Minute
	bucketKeyCache    = 256
)

// bucketKeyInfo separates an object's key, derived from a bucket key, from everything else.
const bucketKeyInfo = "cloister/s3/bucket-key/v1"

// encryptionRequest is what a PUT or a new upload says about encryption.
type encryptionRequest struct {
	algorithm types.ServerSideEncryption
	keyID     *string
	bucketKey *bool
	context   *string
}

// encryption decides how a new object of b is encrypted. SSE-KMS is refused without TLS, as AWS does.
func (r encryptionRequest) encryption(ctx context.Context, b Bucket) (Encryption, error) {
	if r.context != nil {
		return Encryption{}, errNotImplemented("x-amz-server-side-encryption-context")
	}
	var e Encryption
	switch r.algorithm {
	case "":
		if r.keyID != nil {
			return Encryption{}, errInvalidArgument("Server Side Encryption with KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms")
		}
		e = b.Default
	case types.ServerSideEncryptionAes256:
		if r.keyID != nil {
			return Encryption{}, errInvalidArgument("Server Side Encryption with KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms")
		}
	case types.ServerSideEncryptionAwsKms:
		if aws.ToString(r.keyID) == "" {
			return Encryption{}, errNoManagedKey()
		}
		e = Encryption{KeyID: *r.keyID, BucketKey: b.Default.BucketKey}
	case types.ServerSideEncryptionAwsKmsDsse, types.ServerSideEncryptionAwsFsx, types.ServerSideEncryptionAwsBackup:
		return Encryption{}, errNotImplemented("server-side encryption with " + string(r.algorithm))
	default:
		return Encryption{}, errInvalidArgument("The encryption method specified is not supported")
	}
	if e.KeyID == "" {
		return Encryption{}, nil
	}
	if r.bucketKey != nil {
		e.BucketKey = *r.bucketKey
	}
	return e, requireSecure(ctx)
}

func errNoManagedKey() *cloister.Error {
	return errInvalidArgument("This server has no AWS managed key aws/s3: name a KMS key (x-amz-server-side-encryption-aws-kms-key-id, or KMSMasterKeyID in the bucket's encryption).")
}

func requireSecure(ctx context.Context) error {
	if !cloister.CallFrom(ctx).Secure {
		return errInvalidArgument("Requests specifying Server Side Encryption with AWS KMS managed keys must be made over a secure connection.")
	}
	return nil
}

// newKey makes the data key of a new object or upload.
func (s *Service) newKey(ctx context.Context, b Bucket, key, object string, e Encryption) (envelope.DataKey, Sealing, error) {
	if e.KeyID == "" {
		plain, wrapped, _, err := generate(ctx, s.owned, nil, objectARN(b.Name, key))
		return plain, Sealing{Wrapped: wrapped}, err
	}
	id, err := keyOfRegion(e.KeyID, b.Region)
	if err != nil {
		return envelope.DataKey{}, Sealing{}, err
	}
	ctx = asCaller(ctx, b.Region)
	if !e.BucketKey {
		plain, wrapped, arn, err := generate(ctx, s.keys, &id, objectARN(b.Name, key))
		return plain, Sealing{KeyARN: arn, Wrapped: wrapped}, err
	}
	slot := cacheSlot(ctx, "generate", b.Name, id)
	held, ok := s.cache.get(slot)
	if !ok {
		if held.plain, held.wrapped, held.arn, err = generate(ctx, s.keys, &id, bucketARN(b.Name)); err != nil {
			return envelope.DataKey{}, Sealing{}, err
		}
		s.cache.put(slot, held)
	}
	defer held.plain.Zero()
	plain, err := derive(held.plain, b.Name, key, object)
	return plain, Sealing{KeyARN: held.arn, BucketKey: true, Wrapped: held.wrapped}, err
}

// openKey finds the data key of an object or upload again.
func (s *Service) openKey(ctx context.Context, b Bucket, key, object string, sealing Sealing) (envelope.DataKey, error) {
	if sealing.KeyARN == "" {
		return decrypt(ctx, s.owned, nil, sealing.Wrapped, objectARN(b.Name, key))
	}
	if err := requireSecure(ctx); err != nil {
		return envelope.DataKey{}, err
	}
	ctx = asCaller(ctx, b.Region)
	if !sealing.BucketKey {
		return decrypt(ctx, s.keys, &sealing.KeyARN, sealing.Wrapped, objectARN(b.Name, key))
	}
	slot := cacheSlot(ctx, "decrypt", b.Name, string(sealing.Wrapped))
	held, ok := s.cache.get(slot)
	if !ok {
		var err error
		if held.plain, err = decrypt(ctx, s.keys, &sealing.KeyARN, sealing.Wrapped, bucketARN(b.Name)); err != nil {
			return envelope.DataKey{}, err
		}
		s.cache.put(slot, held)
	}
	defer held.plain.Zero()
	return derive(held.plain, b.Name, key, object)
}

func generate(ctx context.Context, keys DataKeys, id *string, arn string) (plain envelope.DataKey, wrapped []byte, keyARN string, err error) {
	out, err := keys.GenerateDataKey(ctx, &awskms.GenerateDataKeyInput{
		KeyId: id, KeySpec: kmstypes.DataKeySpecAes256, EncryptionContext: map[string]string{"aws:s3:arn": arn},
	})
	if err != nil {
		return envelope.DataKey{}, nil, "", keyError(err)
	}
	defer clear(out.Plaintext)
	plain, err = envelope.ParseDataKey(out.Plaintext)
	if err != nil {
		return envelope.DataKey{}, nil, "", errInternal("data key: %w", err)
	}
	return plain, out.CiphertextBlob, aws.ToString(out.KeyId), nil
}

func decrypt(ctx context.Context, keys DataKeys, id *string, wrapped []byte, arn string) (envelope.DataKey, error) {
	out, err := keys.Decrypt(ctx, &awskms.DecryptInput{
		KeyId: id, CiphertextBlob: wrapped, EncryptionContext: map[string]string{"aws:s3:arn": arn},
	})
	if err != nil {
		return envelope.DataKey{}, keyError(err)
	}
	defer clear(out.Plaintext)
	plain, err := envelope.ParseDataKey(out.Plaintext)
	if err != nil {
		return envelope.DataKey{}, errInternal("data key: %w", err)
	}
	return plain, nil
}

// derive makes an object's key from its bucket key. Object ids are never used twice.
func derive(bucketKey envelope.DataKey, bucket, key, object string) (envelope.DataKey, error) {
	defer bucketKey.Zero()
	raw, err := hkdf.Key(sha256.New, bucketKey[:], nil, bucketKeyInfo+string(binding(bucket, key, object, 0)), len(bucketKey))
	if err != nil {
		return envelope.DataKey{}, errInternal("derive object key: %w", err)
	}
	defer clear(raw)
	return envelope.DataKey(raw), nil
}

// asCaller returns a context in which S3 uses KMS for its caller, in the bucket's region.
func asCaller(ctx context.Context, region cloister.Region) context.Context {
	call := cloister.CallFrom(ctx)
	call.Region = region
	return cloister.Via(cloister.WithCall(ctx, call), "s3."+string(region)+".amazonaws.com")
}

// keyOfRegion refuses a key ARN of another region than the bucket's, as S3 does.
func keyOfRegion(id string, region cloister.Region) (string, error) {
	if !strings.HasPrefix(id, "arn:") {
		return id, nil
	}
	arn, err := cloister.ParseARN(id)
	if err != nil || arn.Service != "kms" {
		return "", errInvalidArgument("The KMS key id is not valid: it is a key id, a key ARN, alias/NAME or an alias ARN.")
	}
	if arn.Region != region {
		return "", cloister.Errorf("KMS.NotFoundException", "Invalid arn %s: the key must be in the bucket's region %s.", arn.Region, region).WithStatus(400)
	}
	return id, nil
}

// bucketKey is a cached data key of a bucket.
type bucketKey struct {
	plain   envelope.DataKey
	wrapped []byte
	arn     string
	expires time.Time
}

// keyCache holds bucket keys for a short time, for each principal apart: nobody uses a key because
// somebody else was allowed to.
type keyCache struct {
	now func() time.Time

	mu   sync.Mutex // guards held
	held map[string]*bucketKey
}

func newKeyCache(now func() time.Time) *keyCache {
	return &keyCache{now: now, held: map[string]*bucketKey{}}
}

// cacheSlot names a bucket key of the caller.
func cacheSlot(ctx context.Context, use, bucket, key string) string {
	p := cloister.CallFrom(ctx).Principal
	return strings.Join([]string{use, string(p.Kind), string(p.Account), p.ARN, p.ID, p.JobARN, bucket, key}, "\x00")
}

func (c *keyCache) get(slot string) (bucketKey, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
	k := c.held[slot]
	if k == nil {
		return bucketKey{}, false
	}
	return *k, true
}

func (c *keyCache) put(slot string, k bucketKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
	if len(c.held) >= bucketKeyCache {
		return // the next request asks KMS again
	}
	k.expires = c.now().Add(bucketKeyLifetime)
	c.held[slot] = &k
}

// expire forgets keys whose time is over. The cache is small, so it looks at all of them.
func (c *keyCache) expire() {
	now := c.now()
	for slot, k := range c.held {
		if !now.Before(k.expires) {
			k.plain.Zero()
			delete(c.held, slot)
		}
	}
}
