package s3

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.com/cloister"
)

// listing is what both versions of the list of objects share.
type listing struct {
	query    ListQuery
	encoding types.EncodingType
	maxKeys  int32

	objects  []types.Object
	prefixes []types.CommonPrefix
	more     bool
	last     string // the last key or common prefix, if more follows
}

func (s *Service) list(ctx context.Context, l *listing, owner bool) error {
	page, more, err := s.objectPage(ctx, l.query)
	if err != nil {
		return bucketError(err, l.query.Bucket)
	}
	l.more = more
	l.objects, l.prefixes = []types.Object{}, []types.CommonPrefix{}
	for _, entry := range page {
		if entry.Prefix != "" {
			l.prefixes = append(l.prefixes, types.CommonPrefix{Prefix: encoded(l.encoding, &entry.Prefix)})
			l.last = entry.Prefix
			continue
		}
		o := entry.Item
		l.last = o.Key
		shown := types.Object{
			Key: encoded(l.encoding, &o.Key), Size: aws.Int64(o.Size), ETag: quoted(o.ETag), LastModified: aws.Time(o.Modified),
			StorageClass: types.ObjectStorageClassStandard, ChecksumType: checksumType(o.Checksums, o.Composite),
		}
		for _, name := range o.Checksums.names() {
			shown.ChecksumAlgorithm = append(shown.ChecksumAlgorithm, sdkAlgorithm(name))
		}
		if owner {
			shown.Owner = s.owner()
		}
		l.objects = append(l.objects, shown)
	}
	return nil
}

// objectPage asks for a page, of which 0 entries are none and never truncated, as S3 has it.
func (s *Service) objectPage(ctx context.Context, q ListQuery) ([]Entry[Object], bool, error) {
	if q.Limit == 0 {
		return nil, false, nil
	}
	return s.store.Objects(ctx, q)
}

func newListing(bucket string, prefix, delimiter *string, maxKeys *int32, encoding types.EncodingType) (*listing, error) {
	n := int32(maxListing)
	if maxKeys != nil {
		n = *maxKeys
	}
	if n < 0 {
		return nil, errInvalidArgument("Argument maxKeys must be an integer between 0 and 2147483647")
	}
	n = min(n, maxListing)
	if encoding != "" && encoding != types.EncodingTypeUrl {
		return nil, errInvalidArgument("Invalid Encoding Method specified in Request")
	}
	return &listing{
		query:    ListQuery{Bucket: bucket, Prefix: aws.ToString(prefix), Delimiter: aws.ToString(delimiter), Limit: int(n)},
		encoding: encoding, maxKeys: n,
	}, nil
}

// ListObjects lists a bucket with markers (version 1 of the API).
func (s *Service) ListObjects(ctx context.Context, in *awss3.ListObjectsInput, _ ...func(*awss3.Options)) (*awss3.ListObjectsOutput, error) {
	if err := s.onBucket(ctx, "s3:ListBucket", in.Bucket); err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	l, err := newListing(b.Name, in.Prefix, in.Delimiter, in.MaxKeys, in.EncodingType)
	if err != nil {
		return nil, err
	}
	l.query.After = aws.ToString(in.Marker)
	if err := s.list(ctx, l, true); err != nil {
		return nil, err
	}
	out := &awss3.ListObjectsOutput{
		Name: in.Bucket, Prefix: encoded(l.encoding, notNil(in.Prefix)), Delimiter: encoded(l.encoding, in.Delimiter),
		Marker: encoded(l.encoding, notNil(in.Marker)), MaxKeys: aws.Int32(l.maxKeys), EncodingType: l.encoding,
		IsTruncated: aws.Bool(l.more), Contents: l.objects, CommonPrefixes: l.prefixes,
	}
	if l.more && l.query.Delimiter != "" { // without a delimiter, the last key is the next marker
		out.NextMarker = encoded(l.encoding, &l.last)
	}
	return out, nil
}

// ListObjectsV2 lists a bucket with continuation tokens.
func (s *Service) ListObjectsV2(ctx context.Context, in *awss3.ListObjectsV2Input, _ ...func(*awss3.Options)) (*awss3.ListObjectsV2Output, error) {
	if err := s.onBucket(ctx, "s3:ListBucket", in.Bucket); err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	l, err := newListing(b.Name, in.Prefix, in.Delimiter, in.MaxKeys, in.EncodingType)
	if err != nil {
		return nil, err
	}
	l.query.After = aws.ToString(in.StartAfter)
	if in.ContinuationToken != nil {
		if l.query.After, err = decodeToken(in.ContinuationToken); err != nil {
			return nil, err
		}
	}
	if err := s.list(ctx, l, aws.ToBool(in.FetchOwner)); err != nil {
		return nil, err
	}
	out := &awss3.ListObjectsV2Output{
		Name: in.Bucket, Prefix: encoded(l.encoding, notNil(in.Prefix)), Delimiter: encoded(l.encoding, in.Delimiter),
		StartAfter: encoded(l.encoding, in.StartAfter), ContinuationToken: in.ContinuationToken,
		MaxKeys: aws.Int32(l.maxKeys), EncodingType: l.encoding, IsTruncated: aws.Bool(l.more),
		KeyCount: aws.Int32(int32(len(l.objects) + len(l.prefixes))), //nolint:gosec // at most 1,000
		Contents: l.objects, CommonPrefixes: l.prefixes,
	}
	if l.more {
		out.NextContinuationToken = encodeToken(l.last)
	}
	return out, nil
}

func notNil(s *string) *string { return aws.String(aws.ToString(s)) }

// encoded percent-encodes what encoding-type=url asks for: everything but unreserved characters and the
// slash, so that any key survives XML. A space is %20, which every decoder takes.
func encoded(encoding types.EncodingType, s *string) *string {
	if s == nil || encoding != types.EncodingTypeUrl {
		return s
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(*s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-_.~/", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return aws.String(b.String())
}

// Continuation tokens carry the last name of a page. They say nothing that the page did not.

func encodeToken(last string) *string {
	return aws.String("1" + base64.RawURLEncoding.EncodeToString([]byte(last)))
}

func decodeToken(token *string) (string, error) {
	if token == nil {
		return "", nil
	}
	encoded, ok := strings.CutPrefix(*token, "1")
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if !ok || err != nil || len(raw) > maxKey {
		return "", cloister.Errorf("InvalidArgument", "The continuation token provided is incorrect").WithStatus(400)
	}
	return string(raw), nil
}
