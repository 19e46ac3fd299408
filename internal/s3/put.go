package s3

import (
	"context"
	"errors"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.com/cloister"
)

// PutObject stores an object. When it returns, the object is durable; until then the key has what it had.
// Of several at once for one key, the last to commit wins.
func (s *Service) PutObject(ctx context.Context, in *awss3.PutObjectInput, _ ...func(*awss3.Options)) (*awss3.PutObjectOutput, error) {
	if err := s.onObject(ctx, "s3:PutObject", in.Bucket, in.Key); err != nil {
		return nil, err
	}
	if err := refusePut(in); err != nil {
		return nil, err
	}
	announced, err := algorithmOf(in.ChecksumAlgorithm)
	if err != nil {
		return nil, err
	}
	key := aws.ToString(in.Key)
	if err := checkKey(key); err != nil {
		return nil, err
	}
	headers, err := newHeaders(in.Metadata, Headers{
		ContentType: aws.ToString(in.ContentType), CacheControl: aws.ToString(in.CacheControl),
		ContentDisposition: aws.ToString(in.ContentDisposition), ContentEncoding: aws.ToString(in.ContentEncoding),
		ContentLanguage: aws.ToString(in.ContentLanguage), Expires: in.Expires,
	})
	if err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	e, err := encryptionRequest{in.ServerSideEncryption, in.SSEKMSKeyId, in.BucketKeyEnabled, in.SSEKMSEncryptionContext}.encryption(ctx, b)
	if err != nil {
		return nil, err
	}
	id, err := s.randomHex(16)
	if err != nil {
		return nil, err
	}
	dataKey, sealing, err := s.newKey(ctx, b, key, id, e)
	if err != nil {
		return nil, err
	}
	defer dataKey.Zero()

	part, err := s.receive(ctx, upload{
		body: in.Body, length: in.ContentLength, md5: in.ContentMD5, announced: announced,
		given:   sumFields{in.ChecksumCRC32, in.ChecksumCRC32C, in.ChecksumCRC64NVME, in.ChecksumSHA1, in.ChecksumSHA256}.checksums(),
		wantMD5: sealing.KeyARN == "",
	}, dataKey, binding(b.Name, key, id, 1))
	if err != nil {
		return nil, err
	}
	part.Number = 1
	o := Object{
		Bucket: b.Name, Key: key, ID: id, Size: part.Size, ETag: part.ETag, Modified: part.Modified,
		Sealing: sealing, Headers: headers, Checksums: part.Checksums,
	}
	removed, err := s.store.PutObject(ctx, o, part)
	if err != nil {
		s.withdraw(ctx, part.Blob)
		return nil, bucketError(err, b.Name)
	}
	s.forget(ctx, removed)

	f, sse := o.Checksums.fields(), o.Sealing.fields()
	return &awss3.PutObjectOutput{
		ETag: quoted(o.ETag), ServerSideEncryption: sse.algorithm, SSEKMSKeyId: sse.keyID, BucketKeyEnabled: sse.bucketKey,
		ChecksumCRC32: f.CRC32, ChecksumCRC32C: f.CRC32C, ChecksumCRC64NVME: f.CRC64NVME, ChecksumSHA1: f.SHA1, ChecksumSHA256: f.SHA256,
		ChecksumType: checksumType(o.Checksums, false),
	}, nil
}

func refusePut(in *awss3.PutObjectInput) error {
	err := refuse(
		acl(in.ACL), grants(in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWriteACP),
		text("the conditional header If-Match on PUT", in.IfMatch), text("the conditional header If-None-Match", in.IfNoneMatch),
		objectLock(in.ObjectLockMode, in.ObjectLockLegalHoldStatus, in.ObjectLockRetainUntilDate,
			in.ObjectLockEventHold, in.ObjectLockEventHoldDurationDays, in.ObjectLockEventHoldDurationYears),
		customerKey(in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5),
		storageClass(in.StorageClass), text("object tagging", in.Tagging), text("website redirection", in.WebsiteRedirectLocation),
		feature{"appending with a write offset", in.WriteOffsetBytes != nil},
	)
	if err != nil {
		return err
	}
	return refuseSums(in.ChecksumMD5, in.ChecksumSHA512, in.ChecksumXXHASH128, in.ChecksumXXHASH3, in.ChecksumXXHASH64)
}

// newHeaders adds user metadata within S3's limit of 2 KB.
func newHeaders(metadata map[string]string, h Headers) (Headers, error) {
	size := 0
	for name, value := range metadata {
		size += len(name) + len(value)
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return Headers{}, errInvalidArgument("User metadata must be UTF-8.")
		}
	}
	if size > maxMetadata {
		return Headers{}, cloister.Errorf("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size of %d bytes.", maxMetadata).WithStatus(400)
	}
	h.Metadata = metadata
	return h, nil
}

// sseFields are the members that outputs have for encryption.
type sseFields struct {
	algorithm types.ServerSideEncryption
	keyID     *string
	bucketKey *bool
}

func (s Sealing) fields() sseFields {
	if s.KeyARN == "" {
		return sseFields{algorithm: types.ServerSideEncryptionAes256}
	}
	f := sseFields{algorithm: types.ServerSideEncryptionAwsKms, keyID: &s.KeyARN}
	if s.BucketKey {
		f.bucketKey = aws.Bool(true)
	}
	return f
}

func quoted(etag string) *string { return aws.String(`"` + etag + `"`) }

// DeleteObject deletes a key. A key that does not exist is no error.
func (s *Service) DeleteObject(ctx context.Context, in *awss3.DeleteObjectInput, _ ...func(*awss3.Options)) (*awss3.DeleteObjectOutput, error) {
	if err := s.onObject(ctx, "s3:DeleteObject", in.Bucket, in.Key); err != nil {
		return nil, err
	}
	if err := refuse(
		text("versionId", in.VersionId), text("multi-factor deletion", in.MFA), text("the conditional header If-Match on DELETE", in.IfMatch),
		instant("conditional deletion", in.IfMatchLastModifiedTime), feature{"conditional deletion", in.IfMatchSize != nil},
		feature{"object lock", in.BypassGovernanceRetention != nil},
	); err != nil {
		return nil, err
	}
	if err := checkKey(aws.ToString(in.Key)); err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	removed, err := s.store.DeleteObjects(ctx, b.Name, []string{*in.Key})
	if err != nil {
		return nil, bucketError(err, b.Name)
	}
	s.forget(ctx, removed)
	return &awss3.DeleteObjectOutput{}, nil
}

// DeleteObjects deletes up to 1,000 keys in one transaction. Keys that the caller may not delete are
// reported one by one; if that is all of them, the request is refused.
func (s *Service) DeleteObjects(ctx context.Context, in *awss3.DeleteObjectsInput, _ ...func(*awss3.Options)) (*awss3.DeleteObjectsOutput, error) {
	allowed, failed, err := s.deletable(ctx, in)
	if err != nil {
		return nil, err
	}
	if in.Delete == nil || len(in.Delete.Objects) == 0 || len(in.Delete.Objects) > maxDelete {
		return nil, cloister.Errorf("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema: 1 to %d objects are wanted.", maxDelete).WithStatus(400)
	}
	if err := refuse(text("multi-factor deletion", in.MFA), feature{"object lock", in.BypassGovernanceRetention != nil}); err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	removed, err := s.store.DeleteObjects(ctx, b.Name, allowed)
	if err != nil {
		return nil, bucketError(err, b.Name)
	}
	s.forget(ctx, removed)
	out := &awss3.DeleteObjectsOutput{Errors: failed}
	if !aws.ToBool(in.Delete.Quiet) {
		for _, key := range allowed {
			out.Deleted = append(out.Deleted, types.DeletedObject{Key: aws.String(key)})
		}
	}
	return out, nil
}

// deletable authorizes every key apart.
func (s *Service) deletable(ctx context.Context, in *awss3.DeleteObjectsInput) (allowed []string, failed []types.Error, err error) {
	if in.Delete == nil || len(in.Delete.Objects) == 0 {
		return nil, nil, s.onObject(ctx, "s3:DeleteObject", in.Bucket, aws.String("*"))
	}
	var denied error
	for _, o := range in.Delete.Objects {
		key := aws.ToString(o.Key)
		err := s.onObject(ctx, "s3:DeleteObject", in.Bucket, o.Key)
		if err != nil {
			denied = err
		} else if err = refuse(
			text("versionId", o.VersionId), text("conditional deletion", o.ETag),
			instant("conditional deletion", o.LastModifiedTime), feature{"conditional deletion", o.Size != nil},
		); err == nil {
			err = checkKey(key)
		}
		var api *cloister.Error
		switch {
		case err == nil:
			allowed = append(allowed, key)
		case errors.As(err, &api):
			failed = append(failed, types.Error{Key: aws.String(key), Code: aws.String(api.Code), Message: aws.String(api.Message)})
		default:
			return nil, nil, err
		}
	}
	if denied != nil && len(allowed) == 0 {
		return nil, nil, denied
	}
	return allowed, failed, nil
}
