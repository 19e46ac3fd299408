package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.com/cloister"
)

// GetObject opens an object or a range of it. The body stays readable, and the same, while the key is
// overwritten or deleted; the caller closes it. Damage in the first segment is an error here, damage
// further on an error of the body: wrong bytes are never handed out. The body is an io.WriterTo.
func (s *Service) GetObject(ctx context.Context, in *awss3.GetObjectInput, _ ...func(*awss3.Options)) (*awss3.GetObjectOutput, error) {
	if err := s.onObject(ctx, "s3:GetObject", in.Bucket, in.Key); err != nil {
		return nil, err
	}
	if err := refuse(
		text("the conditional header If-None-Match", in.IfNoneMatch), instant("the conditional header If-Modified-Since", in.IfModifiedSince),
		instant("the conditional header If-Unmodified-Since", in.IfUnmodifiedSince), text("versionId", in.VersionId),
		customerKey(in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5),
	); err != nil {
		return nil, err
	}
	b, o, parts, err := s.pinned(ctx, in.Bucket, in.Key, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	body := &body{service: s, ctx: context.WithoutCancel(ctx), object: o, parts: parts}
	opened := false
	defer func() {
		if !opened {
			_ = body.Close() // an unopened body holds only the pin
		}
	}()
	view, err := o.view(parts, in.IfMatch, in.Range, in.PartNumber)
	if err != nil {
		return nil, err
	}
	if body.key, err = s.openKey(ctx, b, o.Key, o.ID, o.Sealing); err != nil {
		return nil, err
	}
	if err := body.open(view); err != nil {
		return nil, err
	}
	opened = true

	f, sse := shownSums(o, in.ChecksumMode, view), o.Sealing.fields()
	out := &awss3.GetObjectOutput{
		Body: body, AcceptRanges: aws.String("bytes"), ContentLength: aws.Int64(view.n), ContentRange: view.header(o.Size),
		ETag: quoted(o.ETag), LastModified: aws.Time(o.Modified), PartsCount: view.parts,
		ServerSideEncryption: sse.algorithm, SSEKMSKeyId: sse.keyID, BucketKeyEnabled: sse.bucketKey,
		ChecksumCRC32: f.CRC32, ChecksumCRC32C: f.CRC32C, ChecksumCRC64NVME: f.CRC64NVME, ChecksumSHA1: f.SHA1, ChecksumSHA256: f.SHA256,
		ContentType:        first(in.ResponseContentType, contentType(o.Headers.ContentType)),
		CacheControl:       first(in.ResponseCacheControl, o.Headers.CacheControl),
		ContentDisposition: first(in.ResponseContentDisposition, o.Headers.ContentDisposition),
		ContentEncoding:    first(in.ResponseContentEncoding, o.Headers.ContentEncoding),
		ContentLanguage:    first(in.ResponseContentLanguage, o.Headers.ContentLanguage),
		Metadata:           o.Headers.Metadata,
		Expires:            firstTime(in.ResponseExpires, o.Headers.Expires), //nolint:staticcheck // the member that the wire format has
	}
	if f != (sumFields{}) {
		out.ChecksumType = checksumType(o.Checksums, o.Composite)
	}
	return out, nil
}

// HeadObject describes an object as GetObject would, without its body and without using its key.
func (s *Service) HeadObject(ctx context.Context, in *awss3.HeadObjectInput, _ ...func(*awss3.Options)) (*awss3.HeadObjectOutput, error) {
	if err := s.onObject(ctx, "s3:GetObject", in.Bucket, in.Key); err != nil {
		return nil, err
	}
	if err := refuse(
		text("the conditional header If-None-Match", in.IfNoneMatch), instant("the conditional header If-Modified-Since", in.IfModifiedSince),
		instant("the conditional header If-Unmodified-Since", in.IfUnmodifiedSince), text("versionId", in.VersionId),
		customerKey(in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5),
	); err != nil {
		return nil, err
	}
	o, parts, err := s.object(ctx, in.Bucket, in.Key, in.ExpectedBucketOwner, in.PartNumber != nil)
	if code := cloister.Code(err); code == "NoSuchKey" || code == "NoSuchBucket" {
		return nil, errNotFound().WithCause(err)
	}
	if err != nil {
		return nil, err
	}
	view, err := o.view(parts, in.IfMatch, in.Range, in.PartNumber)
	if err != nil {
		return nil, err
	}
	f, sse := shownSums(o, in.ChecksumMode, view), o.Sealing.fields()
	out := &awss3.HeadObjectOutput{
		AcceptRanges: aws.String("bytes"), ContentLength: aws.Int64(view.n), ContentRange: view.header(o.Size),
		ETag: quoted(o.ETag), LastModified: aws.Time(o.Modified), PartsCount: view.parts,
		ServerSideEncryption: sse.algorithm, SSEKMSKeyId: sse.keyID, BucketKeyEnabled: sse.bucketKey,
		ChecksumCRC32: f.CRC32, ChecksumCRC32C: f.CRC32C, ChecksumCRC64NVME: f.CRC64NVME, ChecksumSHA1: f.SHA1, ChecksumSHA256: f.SHA256,
		ContentType:        first(in.ResponseContentType, contentType(o.Headers.ContentType)),
		CacheControl:       first(in.ResponseCacheControl, o.Headers.CacheControl),
		ContentDisposition: first(in.ResponseContentDisposition, o.Headers.ContentDisposition),
		ContentEncoding:    first(in.ResponseContentEncoding, o.Headers.ContentEncoding),
		ContentLanguage:    first(in.ResponseContentLanguage, o.Headers.ContentLanguage),
		Metadata:           o.Headers.Metadata,
		Expires:            firstTime(in.ResponseExpires, o.Headers.Expires), //nolint:staticcheck // the member that the wire format has
	}
	if f != (sumFields{}) {
		out.ChecksumType = checksumType(o.Checksums, o.Composite)
	}
	return out, nil
}

// pinned finds an object and holds back the deletion of its blobs, until its body is closed.
func (s *Service) pinned(ctx context.Context, bucket, key, owner *string) (Bucket, Object, []Part, error) {
	b, err := s.bucket(ctx, bucket, owner)
	if err != nil {
		return Bucket{}, Object{}, nil, err
	}
	s.pins.lookup.RLock()
	defer s.pins.lookup.RUnlock()
	o, parts, err := s.store.ObjectParts(ctx, b.Name, aws.ToString(key))
	if err != nil {
		return Bucket{}, Object{}, nil, s.objectError(ctx, err, bucket, key)
	}
	s.pins.pin(o.ID)
	return b, o, parts, nil
}

// object finds an object, and its parts if they are wanted.
func (s *Service) object(ctx context.Context, bucket, key, owner *string, withParts bool) (o Object, parts []Part, err error) {
	b, err := s.bucket(ctx, bucket, owner)
	if err != nil {
		return Object{}, nil, err
	}
	if withParts {
		o, parts, err = s.store.ObjectParts(ctx, b.Name, aws.ToString(key))
	} else {
		o, err = s.store.Object(ctx, b.Name, aws.ToString(key))
	}
	if err != nil {
		return Object{}, nil, s.objectError(ctx, err, bucket, key)
	}
	return o, parts, nil
}

// objectError tells only those who may list the bucket that a key does not exist, as S3 does.
func (s *Service) objectError(ctx context.Context, err error, bucket, key *string) error {
	if !errors.Is(err, ErrNoObject) {
		return errInternal("object store: %w", err)
	}
	if err := s.onBucket(ctx, "s3:ListBucket", bucket); err != nil {
		return err
	}
	return errNoSuchKey(aws.ToString(key))
}

// view is the range of an object that a request asks for.
type view struct {
	off, n  int64
	partial bool
	parts   *int32 // with a part number: how many parts there are
}

// header is Content-Range, or nil for a whole object.
func (v view) header(size int64) *string {
	if !v.partial {
		return nil
	}
	return aws.String(fmt.Sprintf("bytes %d-%d/%d", v.off, v.off+v.n-1, size))
}

// view finds the range that a request asks for; parts are needed only with a part number.
func (o Object) view(parts []Part, ifMatch, rng *string, part *int32) (view, error) {
	if ifMatch != nil && !etagMatches(*ifMatch, o.ETag) {
		e := cloister.Errorf("PreconditionFailed", "At least one of the pre-conditions you specified did not hold").WithStatus(412)
		e.Fields = map[string]string{"Condition": "If-Match"}
		return view{}, e
	}
	if part == nil {
		return parseRange(aws.ToString(rng), o.Size)
	}
	if rng != nil {
		return view{}, errInvalidRequest("Cannot specify both Range header and partNumber query parameter")
	}
	return o.partView(parts, *part)
}

// partView is the range that a part of a multipart object has; a simple object is its own part 1.
func (o Object) partView(parts []Part, part int32) (view, error) {
	if part < 1 || part > maxParts {
		return view{}, errInvalidArgument("Part number must be an integer between 1 and %d, inclusive", maxParts)
	}
	v := view{partial: o.Size > 0}
	if o.PartCount > 0 {
		v.parts = aws.Int32(int32(o.PartCount)) //nolint:gosec // at most 10,000
	}
	// Clients number the parts of a finished object from 1 on, whatever the upload's numbers were.
	for i, p := range parts {
		if i+1 == int(part) {
			v.n = p.Size
			return v, nil
		}
		v.off += p.Size
	}
	return view{}, cloister.Errorf("InvalidPartNumber", "The requested partnumber is not satisfiable").WithStatus(416)
}

// etagMatches follows RFC 9110 section 13.1.1 for the one ETag that an object has.
func etagMatches(condition, etag string) bool {
	for want := range strings.SplitSeq(condition, ",") {
		want = strings.TrimSpace(want)
		if want == "*" || strings.Trim(want, `"`) == etag {
			return true
		}
	}
	return false
}

// parseRange follows RFC 9110 section 14.2: what is not one range of bytes is ignored, as S3 does, and
// answered with the whole object; a range that begins behind the end is InvalidRange.
func parseRange(header string, size int64) (view, error) {
	whole := view{n: size}
	spec, ok := strings.CutPrefix(header, "bytes=")
	if !ok || strings.Contains(spec, ",") {
		return whole, nil
	}
	from, to, ok := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok || !digits(from) || !digits(to) || from+to == "" {
		return whole, nil
	}
	first, last := number(from), number(to)
	switch {
	case from == "": // the last bytes
		if last == 0 || size == 0 {
			return view{}, errInvalidRange(header, size)
		}
		n := min(last, size)
		return view{off: size - n, n: n, partial: true}, nil
	case to == "":
		last = size - 1
	case last < first:
		return whole, nil
	}
	if first >= size {
		return view{}, errInvalidRange(header, size)
	}
	last = min(last, size-1)
	return view{off: first, n: last - first + 1, partial: true}, nil
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// number parses digits; what does not fit is larger than any object.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil && s != "" {
		return 1<<63 - 1
	}
	return n
}

func errInvalidRange(header string, size int64) error {
	e := cloister.Errorf("InvalidRange", "The requested range is not satisfiable").WithStatus(416)
	e.Fields = map[string]string{"RangeRequested": header, "ActualObjectSize": strconv.FormatInt(size, 10)}
	return e
}

// shownSums are the checksums that an answer carries: those of the whole object, if they were asked for
// and the whole object is sent.
func shownSums(o Object, mode types.ChecksumMode, v view) sumFields {
	if mode != types.ChecksumModeEnabled || v.partial {
		return sumFields{}
	}
	return o.Checksums.fields()
}

func contentType(stored string) string {
	if stored == "" {
		return "binary/octet-stream"
	}
	return stored
}

func first(override *string, stored string) *string {
	if override != nil {
		return override
	}
	if stored == "" {
		return nil
	}
	return &stored
}

func firstTime(override, stored *time.Time) *time.Time {
	if override != nil {
		return override
	}
	return stored
}

var _ io.WriterTo = (*body)(nil)
