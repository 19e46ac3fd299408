package s3

import (
	"context"
	"errors"
	"iter"
	"time"

	"example.com/cloister"
	"example.com/cloister/internal/blob"
)

// Errors that a Store returns.
var (
	ErrNoBucket       = errors.New("s3: no such bucket")
	ErrNoObject       = errors.New("s3: no such object")
	ErrNoUpload       = errors.New("s3: no such upload")
	ErrBucketExists   = errors.New("s3: the bucket exists")
	ErrBucketNotEmpty = errors.New("s3: the bucket is not empty")
	// ErrNoPart says that a part named at completion is gone or was replaced.
	ErrNoPart = errors.New("s3: no such part")
)

// Bucket is a bucket. Names are unique in the whole server.
type Bucket struct {
	Name    string
	Account cloister.AccountID
	Region  cloister.Region
	Created time.Time
	Default Encryption
}

// Encryption is how new objects of a bucket are encrypted unless a request says otherwise. The zero value
// is SSE-S3.
type Encryption struct {
	// KeyID is the KMS key, in any form that KMS takes; empty for SSE-S3.
	KeyID string
	// BucketKey uses one KMS data key for many objects.
	BucketKey bool
}

// Sealing is how an object is encrypted and how its data key is found again.
type Sealing struct {
	// KeyARN is the KMS key of SSE-KMS; empty for SSE-S3.
	KeyARN    string
	BucketKey bool
	// Wrapped is the data key, or with BucketKey the bucket's, as KMS or the service-owned key wrapped it.
	Wrapped []byte
}

// Headers are what a client stores with an object, besides its bytes. Times are as sent.
type Headers struct {
	ContentType        string            `json:"contentType,omitempty"`
	CacheControl       string            `json:"cacheControl,omitempty"`
	ContentDisposition string            `json:"contentDisposition,omitempty"`
	ContentEncoding    string            `json:"contentEncoding,omitempty"`
	ContentLanguage    string            `json:"contentLanguage,omitempty"`
	Expires            *time.Time        `json:"expires,omitempty"`
	Metadata           map[string]string `json:"metadata,omitempty"`
}

// Checksums maps an algorithm (crc32, crc32c, crc64nvme, sha1, sha256) to a value in base64, with "-N"
// behind it for a composite one.
type Checksums map[string]string

// Object is a stored object. Its bytes are its parts, in order.
type Object struct {
	Bucket, Key string
	// ID names this object for ever: an overwritten key gets a new one. For a multipart object it is the upload's id.
	ID       string
	Size     int64
	ETag     string // without quotes
	Modified time.Time
	Sealing  Sealing
	Headers  Headers
	// Checksums is empty when none could be computed for the whole.
	Checksums Checksums
	// Composite says that the checksum is one of the parts' checksums.
	Composite bool
	// PartCount is the number of parts of a multipart object, and 0 for a simple one, which has one part.
	PartCount int
}

// Part is one sealed stream. A simple object has part 1.
type Part struct {
	Number    int32
	Blob      blob.ID
	Size      int64 // of the plaintext
	ETag      string
	Checksums Checksums
	Modified  time.Time
}

// Upload is a multipart upload in progress.
type Upload struct {
	Bucket, Key string
	// ID is unique and sorts by the time of initiation.
	ID        string
	Initiated time.Time
	Sealing   Sealing
	Headers   Headers
	// Algorithm is the checksum announced at creation, or "".
	Algorithm string
	Composite bool
}

// Removed is what a committed change took out of the store: blobs that nothing refers to any more.
type Removed struct {
	Object string // the id of the object or upload
	Blobs  []blob.ID
}

// ListQuery asks for a page of a list in byte order of keys. Entries are keys, or common prefixes: what a
// key begins with up to and including the first Delimiter behind Prefix.
type ListQuery struct {
	Bucket, Prefix, Delimiter string
	// After excludes keys up to and including it, and the common prefix that equals it.
	After string
	// AfterID, for uploads: of key After, ids behind it are listed too. Empty excludes the key.
	AfterID string
	Limit   int // entries, at least 1
}

// Entry is one of a list: an item or a common prefix.
type Entry[T any] struct {
	Item   T
	Prefix string // if not empty, a common prefix
}

// Store keeps buckets, objects and uploads. Each method is one transaction, durable when it returns.
type Store interface {
	// CreateBucket stores a bucket, or returns the one that has the name and ErrBucketExists.
	CreateBucket(ctx context.Context, b Bucket) (Bucket, error)
	// Bucket returns a bucket, or ErrNoBucket.
	Bucket(ctx context.Context, name string) (Bucket, error)
	// Buckets lists up to limit buckets of an account, after a name, with a prefix, in a region if it is not empty.
	Buckets(ctx context.Context, account cloister.AccountID, region cloister.Region, prefix, after string, limit int) ([]Bucket, error)
	// SetEncryption changes a bucket's default, or returns ErrNoBucket.
	SetEncryption(ctx context.Context, bucket string, e Encryption) error
	// DeleteBucket deletes a bucket and its uploads, or returns ErrNoBucket or ErrBucketNotEmpty.
	DeleteBucket(ctx context.Context, name string) ([]Removed, error)

	// PutObject stores an object and its only part in place of what the key had, or returns ErrNoBucket.
	PutObject(ctx context.Context, o Object, p Part) ([]Removed, error)
	// Object returns what a key has, or ErrNoObject.
	Object(ctx context.Context, bucket, key string) (Object, error)
	// ObjectParts returns what a key has and its parts, as of one moment, or ErrNoObject.
	ObjectParts(ctx context.Context, bucket, key string) (Object, []Part, error)
	// Parts returns parts of an object or upload after a number, in order, at most limit.
	Parts(ctx context.Context, object string, after int32, limit int) ([]Part, error)
	// DeleteObjects deletes keys; those that do not exist are no error.
	DeleteObjects(ctx context.Context, bucket string, keys []string) ([]Removed, error)
	// Objects lists a page and says whether more follows.
	Objects(ctx context.Context, q ListQuery) (page []Entry[Object], more bool, err error)

	// CreateUpload stores an upload, or returns ErrNoBucket.
	CreateUpload(ctx context.Context, u Upload) error
	// Upload returns an upload of a key, or ErrNoUpload.
	Upload(ctx context.Context, bucket, key, id string) (Upload, error)
	// PutPart stores a part in place of the one with its number, or returns ErrNoUpload.
	PutPart(ctx context.Context, upload string, p Part) ([]Removed, error)
	// CompleteUpload turns an upload into object o made of the parts given, in place of what the key had, and
	// drops its other parts. It returns ErrNoUpload, or ErrNoPart if a part was replaced meanwhile.
	CompleteUpload(ctx context.Context, o Object, parts []Part) ([]Removed, error)
	// AbortUpload deletes an upload and its parts, or returns ErrNoUpload.
	AbortUpload(ctx context.Context, bucket, key, id string) ([]Removed, error)
	// Uploads lists a page, by key and then id, and says whether more follows.
	Uploads(ctx context.Context, q ListQuery) (page []Entry[Upload], more bool, err error)

	// HasBlob reports whether a part refers to a blob.
	HasBlob(ctx context.Context, id blob.ID) (bool, error)
	// Blobs yields the blobs that parts refer to, in order.
	Blobs(ctx context.Context) iter.Seq2[blob.ID, error]
}
