package s3_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister"
	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/s3"
	"example.com/cloister/internal/store"
)

const (
	account = cloister.DefaultAccount
	keyID   = "1234abcd-12ab-34cd-56ef-1234567890ab"
	keyARN  = "arn:aws:kms:us-east-1:123456789012:key/" + keyID
	bucket  = "data-bucket"
)

// fakeKMS wraps data keys with real AES-GCM and the encryption context as additional data.
type fakeKMS struct {
	aead cipher.AEAD

	mu    sync.Mutex // guards the rest
	fail  error
	calls []kmsCall
}

type kmsCall struct {
	Operation, Via string
	Region         cloister.Region
	Principal      string
	Context        map[string]string
	KeyID          string
}

func newFakeKMS(tb testing.TB) *fakeKMS {
	tb.Helper()
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		tb.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		tb.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		tb.Fatal(err)
	}
	return &fakeKMS{aead: aead}
}

func (k *fakeKMS) record(ctx context.Context, operation, id string, encryptionContext map[string]string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	call := cloister.CallFrom(ctx)
	k.calls = append(k.calls, kmsCall{operation, call.ViaService, call.Region, call.Principal.ARN, encryptionContext, id})
	return k.fail
}

func (k *fakeKMS) setFailure(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fail = err
}

func (k *fakeKMS) taken() []kmsCall {
	k.mu.Lock()
	defer k.mu.Unlock()
	calls := k.calls
	k.calls = nil
	return calls
}

func (k *fakeKMS) GenerateDataKey(ctx context.Context, in *awskms.GenerateDataKeyInput, _ ...func(*awskms.Options)) (*awskms.GenerateDataKeyOutput, error) {
	if err := k.record(ctx, "GenerateDataKey", aws.ToString(in.KeyId), in.EncryptionContext); err != nil {
		return nil, err
	}
	plain := make([]byte, 32)
	if _, err := rand.Read(plain); err != nil {
		return nil, err
	}
	aad, err := json.Marshal(in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	return &awskms.GenerateDataKeyOutput{Plaintext: plain, CiphertextBlob: k.aead.Seal(nil, nil, plain, aad), KeyId: aws.String(keyARN)}, nil
}

func (k *fakeKMS) Decrypt(ctx context.Context, in *awskms.DecryptInput, _ ...func(*awskms.Options)) (*awskms.DecryptOutput, error) {
	if err := k.record(ctx, "Decrypt", aws.ToString(in.KeyId), in.EncryptionContext); err != nil {
		return nil, err
	}
	aad, err := json.Marshal(in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	plain, err := k.aead.Open(nil, nil, in.CiphertextBlob, aad)
	if err != nil {
		return nil, cloister.Errorf("InvalidCiphertextException", "")
	}
	return &awskms.DecryptOutput{Plaintext: plain, KeyId: aws.String(keyARN)}, nil
}

// gate admits the account root, and refuses actions that a test lists.
type gate struct {
	mu     sync.Mutex // guards the rest
	denied map[string]bool
	asked  []cloister.Access
}

func (g *gate) Authorize(ctx context.Context, a cloister.Access) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, a)
	p := cloister.CallFrom(ctx).Principal
	if p.Kind == cloister.KindRoot && !g.denied[a.Action] {
		return nil
	}
	return cloister.Errorf("AccessDeniedException", "%s", cloister.DeniedMessage(p.ARN, a.Action, a.Resource)).WithStatus(403)
}

// fixture is a service on a real database and real files.
type fixture struct {
	*s3.Service
	kms, owned *fakeKMS
	gate       *gate
	blobs      *blob.Store
	store      *store.S3
	dir        string
	clock      *clock
	log        *bytes.Buffer
}

type clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func directory(tb testing.TB, path string) blob.FileSystem {
	tb.Helper()
	d, err := blob.OpenDirectory(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = d.Close() })
	return d
}

func newFixture(tb testing.TB) *fixture {
	tb.Helper()
	dir := tb.TempDir()
	return newFixtureOn(tb, dir, directory(tb, filepath.Join(dir, "blobs")))
}

func newFixtureOn(tb testing.TB, dir string, fsys blob.FileSystem) *fixture {
	tb.Helper()
	db, err := store.Open(tb.Context(), filepath.Join(dir, "cloister.db"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return newServiceOn(tb, db.S3(), dir, fsys)
}

func newServiceOn(tb testing.TB, rows *store.S3, dir string, fsys blob.FileSystem) *fixture {
	tb.Helper()
	blobs, err := blob.Open(tb.Context(), fsys)
	if err != nil {
		tb.Fatal(err)
	}
	f := &fixture{
		kms: newFakeKMS(tb), owned: newFakeKMS(tb), gate: &gate{denied: map[string]bool{}}, blobs: blobs, store: rows, dir: dir,
		clock: &clock{now: time.Date(2026, 3, 4, 5, 6, 7, 890e6, time.UTC)}, log: &bytes.Buffer{},
	}
	f.Service = s3.New(s3.Config{
		Account: account, Store: f.store, Blobs: blobs, Keys: f.kms, Owned: f.owned, Auth: f.gate,
		Log: slog.New(slog.NewTextHandler(f.log, nil)), Now: f.clock.Now, Rand: rand.Reader,
	})
	return f
}

// asRoot is a context of the account root over TLS.
func asRoot(tb testing.TB) context.Context {
	tb.Helper()
	return cloister.WithCall(tb.Context(), cloister.Call{Principal: cloister.RootPrincipal(account), Region: cloister.DefaultRegion, Secure: true})
}

func inRegion(ctx context.Context, region cloister.Region) context.Context {
	call := cloister.CallFrom(ctx)
	call.Region = region
	return cloister.WithCall(ctx, call)
}

func (f *fixture) createBucket(tb testing.TB) {
	tb.Helper()
	if _, err := f.CreateBucket(asRoot(tb), &awss3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		tb.Fatal(err)
	}
}

func (f *fixture) put(tb testing.TB, key, data string) *awss3.PutObjectOutput {
	tb.Helper()
	out, err := f.PutObject(asRoot(tb), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader(data)})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func (f *fixture) get(tb testing.TB, key string) (string, error) {
	tb.Helper()
	out, err := f.GetObject(asRoot(tb), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(out.Body)
	return string(data), errors.Join(err, out.Body.Close())
}

func (f *fixture) blobCount(tb testing.TB) int {
	tb.Helper()
	n := 0
	for _, err := range f.blobs.List(tb.Context()) {
		if err != nil {
			tb.Fatal(err)
		}
		n++
	}
	return n
}

// wantCode checks the code and status of an error.
func wantCode(tb testing.TB, what string, err error, code string, status int) {
	tb.Helper()
	if code == "" {
		if err != nil {
			tb.Errorf("%s: %v", what, err)
		}
		return
	}
	var api *cloister.Error
	if !errors.As(err, &api) || api.Code != code || api.Status != status {
		tb.Errorf("%s: error = %v, want %s with status %d", what, err, code, status)
	}
}
