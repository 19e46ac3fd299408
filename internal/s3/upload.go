package s3

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// CreateMultipartUpload starts an upload: one data key for all parts, each of which is a sealed stream.
func (s *Service) CreateMultipartUpload(ctx context.Context, in *awss3.CreateMultipartUploadInput, _ ...func(*awss3.Options)) (*awss3.CreateMultipartUploadOutput, error) {
	if err := s.onObject(ctx, "s3:PutObject", in.Bucket, in.Key); err != nil {
		return nil, err
	}
	if err := refuse(
		acl(in.ACL), grants(in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWriteACP),
		objectLock(in.ObjectLockMode, in.ObjectLockLegalHoldStatus, in.ObjectLockRetainUntilDate,
			in.ObjectLockEventHold, in.ObjectLockEventHoldDurationDays, in.ObjectLockEventHoldDurationYears),
		customerKey(in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5),
		storageClass(in.StorageClass), text("object tagging", in.Tagging), text("website redirection", in.WebsiteRedirectLocation),
	); err != nil {
		return nil, err
	}
	algorithm, composite, err := uploadChecksum(in.ChecksumAlgorithm, in.ChecksumType)
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
	id, err := s.uploadID()
	if err != nil {
		return nil, err
	}
	dataKey, sealing, err := s.newKey(ctx, b, key, id, e)
	if err != nil {
		return nil, err
	}
	dataKey.Zero() // each part asks for it again, as its own caller
	u := Upload{
		Bucket: b.Name, Key: key, ID: id, Initiated: s.moment(), Sealing: sealing, Headers: headers,
		Algorithm: algorithm, Composite: composite,
	}
	if err := s.store.CreateUpload(ctx, u); err != nil {
		return nil, bucketError(err, b.Name)
	}
	sse := sealing.fields()
	return &awss3.CreateMultipartUploadOutput{
		Bucket: in.Bucket, Key: in.Key, UploadId: aws.String(id),
		ServerSideEncryption: sse.algorithm, SSEKMSKeyId: sse.keyID, BucketKeyEnabled: sse.bucketKey,
		ChecksumAlgorithm: sdkAlgorithm(algorithm), ChecksumType: uploadType(u),
	}, nil
}

// uploadID draws an id that sorts by the time of initiation, as the list of uploads must.
func (s *Service) uploadID() (string, error) {
	random, err := s.randomHex(16)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%012x%s", s.now().UnixMilli(), random), nil
}

// uploadChecksum applies S3's table of algorithms and types: the SHAs are composite only, CRC64NVME is for
// the full object only, and CRC32 and CRC32C are composite unless asked otherwise.
func uploadChecksum(a types.ChecksumAlgorithm, t types.ChecksumType) (algorithm string, composite bool, err error) {
	algorithm, err = algorithmOf(a)
	if err != nil {
		return "", false, err
	}
	if t != "" && t != types.ChecksumTypeComposite && t != types.ChecksumTypeFullObject {
		return "", false, errInvalidRequest("Value for x-amz-checksum-type header is invalid.")
	}
	switch algorithm {
	case "":
		if t != "" {
			return "", false, errInvalidRequest("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		return "", false, nil
	case crc64nvmeSum:
		composite = t == types.ChecksumTypeComposite
		if composite {
			return "", false, errInvalidRequest("The COMPOSITE checksum type cannot be used with the crc64nvme checksum algorithm.")
		}
	case sha1Sum, sha256Sum:
		if t == types.ChecksumTypeFullObject {
			return "", false, errInvalidRequest("The FULL_OBJECT checksum type cannot be used with the %s checksum algorithm.", algorithm)
		}
		composite = true
	default:
		composite = t != types.ChecksumTypeFullObject
	}
	return algorithm, composite, nil
}

func uploadType(u Upload) types.ChecksumType {
	switch {
	case u.Algorithm == "":
		return ""
	case u.Composite:
		return types.ChecksumTypeComposite
	default:
		return types.ChecksumTypeFullObject
	}
}

// UploadPart stores a part, in place of the one that its number had.
func (s *Service) UploadPart(ctx context.Context, in *awss3.UploadPartInput, _ ...func(*awss3.Options)) (*awss3.UploadPartOutput, error) {
	if err := s.onObject(ctx, "s3:PutObject", in.Bucket, in.Key); err != nil {
		return nil, err
	}
	if err := refuse(customerKey(in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5)); err != nil {
		return nil, err
	}
	if err := refuseSums(in.ChecksumMD5, in.ChecksumSHA512, in.ChecksumXXHASH128, in.ChecksumXXHASH3, in.ChecksumXXHASH64); err != nil {
		return nil, err
	}
	announced, err := algorithmOf(in.ChecksumAlgorithm)
	if err != nil {
		return nil, err
	}
	number := aws.ToInt32(in.PartNumber)
	if number < 1 || number > maxParts {
		return nil, errInvalidArgument("Part number must be an integer between 1 and %d, inclusive", maxParts)
	}
	b, u, err := s.upload(ctx, in.Bucket, in.Key, in.UploadId, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	given := sumFields{in.ChecksumCRC32, in.ChecksumCRC32C, in.ChecksumCRC64NVME, in.ChecksumSHA1, in.ChecksumSHA256}.checksums()
	if err := checkPartAlgorithm(u, announced, given); err != nil {
		return nil, err
	}
	dataKey, err := s.openKey(ctx, b, u.Key, u.ID, u.Sealing)
	if err != nil {
		return nil, err
	}
	defer dataKey.Zero()
	part, err := s.receive(ctx, upload{
		body: in.Body, length: in.ContentLength, md5: in.ContentMD5, announced: announced, given: given,
		wanted: u.Algorithm, wantMD5: u.Sealing.KeyARN == "",
	}, dataKey, binding(b.Name, u.Key, u.ID, number))
	if err != nil {
		return nil, err
	}
	part.Number = number
	removed, err := s.store.PutPart(ctx, u.ID, part)
	if err != nil {
		s.withdraw(ctx, part.Blob)
		return nil, uploadError(err, u.ID)
	}
	s.forget(ctx, removed)
	f, sse := part.Checksums.fields(), u.Sealing.fields()
	return &awss3.UploadPartOutput{
		ETag: quoted(part.ETag), ServerSideEncryption: sse.algorithm, SSEKMSKeyId: sse.keyID, BucketKeyEnabled: sse.bucketKey,
		ChecksumCRC32: f.CRC32, ChecksumCRC32C: f.CRC32C, ChecksumCRC64NVME: f.CRC64NVME, ChecksumSHA1: f.SHA1, ChecksumSHA256: f.SHA256,
	}, nil
}

// checkPartAlgorithm refuses a part whose checksum is not the one that the upload was created with.
func checkPartAlgorithm(u Upload, announced string, given Checksums) error {
	if u.Algorithm == "" {
		return nil
	}
	names := given.names()
	if announced != "" {
		names = append(names, announced)
	}
	for _, name := range names {
		if name != u.Algorithm {
			return errInvalidRequest("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s", u.Algorithm, name)
		}
	}
	return nil
}

// upload finds an upload of a key. Its bucket is returned even if it has no such upload.
func (s *Service) upload(ctx context.Context, bucket, key, id, owner *string) (Bucket, Upload, error) {
	b, err := s.bucket(ctx, bucket, owner)
	if err != nil {
		return Bucket{}, Upload{}, err
	}
	u, err := s.store.Upload(ctx, b.Name, aws.ToString(key), aws.ToString(id))
	if err != nil {
		return b, Upload{}, uploadError(err, aws.ToString(id))
	}
	return b, u, nil
}

func uploadError(err error, id string) error {
	switch {
	case errors.Is(err, ErrNoUpload):
		return errNoSuchUpload(id)
	case errors.Is(err, ErrNoPart):
		return errInvalidPart()
	}
	return errInternal("upload store: %w", err)
}

// AbortMultipartUpload deletes an upload and its parts.
func (s *Service) AbortMultipartUpload(ctx context.Context, in *awss3.AbortMultipartUploadInput, _ ...func(*awss3.Options)) (*awss3.AbortMultipartUploadOutput, error) {
	if err := s.onObject(ctx, "s3:AbortMultipartUpload", in.Bucket, in.Key); err != nil {
		return nil, err
	}
	if err := refuse(instant("a conditional abort", in.IfMatchInitiatedTime)); err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	removed, err := s.store.AbortUpload(ctx, b.Name, aws.ToString(in.Key), aws.ToString(in.UploadId))
	if err != nil {
		return nil, uploadError(err, aws.ToString(in.UploadId))
	}
	s.forget(ctx, removed)
	return &awss3.AbortMultipartUploadOutput{}, nil
}

// ListParts lists the parts of an upload by number.
func (s *Service) ListParts(ctx context.Context, in *awss3.ListPartsInput, _ ...func(*awss3.Options)) (*awss3.ListPartsOutput, error) {
	if err := s.onObject(ctx, "s3:ListMultipartUploadParts", in.Bucket, in.Key); err != nil {
		return nil, err
	}
	if err := refuse(customerKey(in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5)); err != nil {
		return nil, err
	}
	limit, err := pageLimit("max-parts", in.MaxParts)
	if err != nil {
		return nil, err
	}
	marker := 0
	if text := aws.ToString(in.PartNumberMarker); text != "" {
		if marker, err = strconv.Atoi(text); err != nil || marker < 0 || marker > 1<<31-1 {
			return nil, errInvalidArgument("Provided part-number-marker not an integer or within integer range")
		}
	}
	_, u, err := s.upload(ctx, in.Bucket, in.Key, in.UploadId, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	parts, err := s.store.Parts(ctx, u.ID, int32(marker), int(limit)+1) //nolint:gosec // checked above
	if err != nil {
		return nil, errInternal("parts: %w", err)
	}
	out := &awss3.ListPartsOutput{
		Bucket: in.Bucket, Key: in.Key, UploadId: in.UploadId, MaxParts: aws.Int32(limit),
		PartNumberMarker: aws.String(strconv.Itoa(marker)), IsTruncated: aws.Bool(len(parts) > int(limit)),
		Owner: s.owner(), Initiator: &types.Initiator{ID: s.owner().ID}, StorageClass: types.StorageClassStandard,
		ChecksumAlgorithm: sdkAlgorithm(u.Algorithm), ChecksumType: uploadType(u), Parts: []types.Part{},
	}
	for _, p := range parts[:min(len(parts), int(limit))] {
		f := p.Checksums.fields()
		out.Parts = append(out.Parts, types.Part{
			PartNumber: aws.Int32(p.Number), Size: aws.Int64(p.Size), ETag: quoted(p.ETag), LastModified: aws.Time(p.Modified),
			ChecksumCRC32: f.CRC32, ChecksumCRC32C: f.CRC32C, ChecksumCRC64NVME: f.CRC64NVME, ChecksumSHA1: f.SHA1, ChecksumSHA256: f.SHA256,
		})
		marker = int(p.Number)
	}
	if *out.IsTruncated {
		out.NextPartNumberMarker = aws.String(strconv.Itoa(marker))
	}
	return out, nil
}

func pageLimit(name string, asked *int32) (int32, error) {
	if asked == nil {
		return maxListing, nil
	}
	if *asked < 0 {
		return 0, errInvalidArgument("Argument %s must be an integer between 0 and 2147483647", name)
	}
	return min(*asked, maxListing), nil
}

// ListMultipartUploads lists unfinished uploads by key, and those of a key by time.
func (s *Service) ListMultipartUploads(ctx context.Context, in *awss3.ListMultipartUploadsInput, _ ...func(*awss3.Options)) (*awss3.ListMultipartUploadsOutput, error) {
	if err := s.onBucket(ctx, "s3:ListBucketMultipartUploads", in.Bucket); err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	limit, err := pageLimit("max-uploads", in.MaxUploads)
	if err != nil {
		return nil, err
	}
	l, err := newListing(b.Name, in.Prefix, in.Delimiter, &limit, in.EncodingType)
	if err != nil {
		return nil, err
	}
	l.query.After = aws.ToString(in.KeyMarker)
	if l.query.After != "" { // without a key marker, the id marker is ignored
		l.query.AfterID = aws.ToString(in.UploadIdMarker)
	}
	out := &awss3.ListMultipartUploadsOutput{
		Bucket: in.Bucket, Prefix: encoded(l.encoding, notNil(in.Prefix)), Delimiter: encoded(l.encoding, in.Delimiter),
		KeyMarker: encoded(l.encoding, notNil(in.KeyMarker)), UploadIdMarker: notNil(in.UploadIdMarker),
		EncodingType: l.encoding, MaxUploads: aws.Int32(limit), IsTruncated: aws.Bool(false), Uploads: []types.MultipartUpload{},
	}
	if limit == 0 {
		return out, nil
	}
	page, more, err := s.store.Uploads(ctx, l.query)
	if err != nil {
		return nil, bucketError(err, b.Name)
	}
	var last Entry[Upload]
	for _, entry := range page {
		last = entry
		if entry.Prefix != "" {
			out.CommonPrefixes = append(out.CommonPrefixes, types.CommonPrefix{Prefix: encoded(l.encoding, &entry.Prefix)})
			continue
		}
		u := entry.Item
		out.Uploads = append(out.Uploads, types.MultipartUpload{
			Key: encoded(l.encoding, &u.Key), UploadId: aws.String(u.ID), Initiated: aws.Time(u.Initiated),
			Owner: s.owner(), Initiator: &types.Initiator{ID: s.owner().ID}, StorageClass: types.StorageClassStandard,
			ChecksumAlgorithm: sdkAlgorithm(u.Algorithm), ChecksumType: uploadType(u),
		})
	}
	if more {
		out.IsTruncated = aws.Bool(true)
		if last.Prefix != "" {
			out.NextKeyMarker = encoded(l.encoding, &last.Prefix)
		} else {
			out.NextKeyMarker, out.NextUploadIdMarker = encoded(l.encoding, &last.Item.Key), aws.String(last.Item.ID)
		}
	}
	return out, nil
}
