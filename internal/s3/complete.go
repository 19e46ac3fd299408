package s3

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.com/cloister"
)

// CompleteMultipartUpload makes an object of the parts that are named, without touching their bytes. Doing
// it again for an upload that became the key's object answers the same.
func (s *Service) CompleteMultipartUpload(ctx context.Context, in *awss3.CompleteMultipartUploadInput, _ ...func(*awss3.Options)) (*awss3.CompleteMultipartUploadOutput, error) {
	if err := s.onObject(ctx, "s3:PutObject", in.Bucket, in.Key); err != nil {
		return nil, err
	}
	if err := refuse(
		text("the conditional header If-Match on PUT", in.IfMatch), text("the conditional header If-None-Match", in.IfNoneMatch),
		customerKey(in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5),
	); err != nil {
		return nil, err
	}
	if err := refuseSums(in.ChecksumMD5, in.ChecksumSHA512, in.ChecksumXXHASH128, in.ChecksumXXHASH3, in.ChecksumXXHASH64); err != nil {
		return nil, err
	}
	b, u, err := s.upload(ctx, in.Bucket, in.Key, in.UploadId, in.ExpectedBucketOwner)
	if cloister.Code(err) == "NoSuchUpload" {
		if o, findErr := s.store.Object(ctx, b.Name, aws.ToString(in.Key)); findErr == nil && o.ID == aws.ToString(in.UploadId) {
			return completed(in, o), nil
		}
	}
	if err != nil {
		return nil, err
	}
	parts, err := s.namedParts(ctx, u, in.MultipartUpload)
	if err != nil {
		return nil, err
	}
	o := Object{
		Bucket: b.Name, Key: u.Key, ID: u.ID, ETag: etagOf(parts), Modified: s.moment(),
		Sealing: u.Sealing, Headers: u.Headers, PartCount: len(parts),
	}
	for _, p := range parts {
		o.Size += p.Size
	}
	o.Checksums, o.Composite = wholeChecksum(u, parts)
	if err := checkWhole(in, u, o); err != nil {
		return nil, err
	}
	removed, err := s.store.CompleteUpload(ctx, o, parts)
	if err != nil {
		return nil, uploadError(err, u.ID)
	}
	s.forget(ctx, removed)
	return completed(in, o), nil
}

// namedParts finds the parts that the request names and applies S3's rules for them.
func (s *Service) namedParts(ctx context.Context, u Upload, named *types.CompletedMultipartUpload) ([]Part, error) {
	if named == nil || len(named.Parts) == 0 || len(named.Parts) > maxParts {
		return nil, cloister.Errorf("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema: 1 to %d parts are wanted.", maxParts).WithStatus(400)
	}
	stored, err := s.store.Parts(ctx, u.ID, 0, maxParts)
	if err != nil {
		return nil, errInternal("parts: %w", err)
	}
	have := make(map[int32]Part, len(stored))
	for _, p := range stored {
		have[p.Number] = p
	}
	parts := make([]Part, 0, len(named.Parts))
	previous := int32(0)
	for _, n := range named.Parts {
		number := aws.ToInt32(n.PartNumber)
		if number <= previous {
			return nil, cloister.Errorf("InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number.").WithStatus(400)
		}
		previous = number
		p, ok := have[number]
		if !ok || strings.Trim(aws.ToString(n.ETag), `"`) != p.ETag {
			return nil, errInvalidPart()
		}
		if err := refuseSums(n.ChecksumMD5, n.ChecksumSHA512, n.ChecksumXXHASH128, n.ChecksumXXHASH3, n.ChecksumXXHASH64); err != nil {
			return nil, err
		}
		claimed := sumFields{n.ChecksumCRC32, n.ChecksumCRC32C, n.ChecksumCRC64NVME, n.ChecksumSHA1, n.ChecksumSHA256}.checksums()
		for name, value := range claimed {
			if p.Checksums[name] != value {
				return nil, errInvalidPart()
			}
		}
		parts = append(parts, p)
	}
	for _, p := range parts[:len(parts)-1] {
		if p.Size < minPart {
			return nil, cloister.Errorf("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size: part %d has %d bytes, and every part but the last needs %d.", p.Number, p.Size, minPart).WithStatus(400)
		}
	}
	return parts, nil
}

// wholeChecksum computes the object's checksum: of the upload's algorithm, or if none was named, CRC64NVME,
// or the composite of whatever all parts have.
func wholeChecksum(u Upload, parts []Part) (sums Checksums, composite bool) {
	if u.Algorithm != "" {
		return partsChecksum(u.Algorithm, u.Composite, parts), u.Composite
	}
	if sums := partsChecksum(crc64nvmeSum, false, parts); sums != nil {
		return sums, false
	}
	for _, name := range algorithms() {
		if sums := partsChecksum(name, true, parts); sums != nil {
			return sums, true
		}
	}
	return nil, false
}

// checkWhole compares what the request says about the whole object with what its parts are.
func checkWhole(in *awss3.CompleteMultipartUploadInput, u Upload, o Object) error {
	if in.MpuObjectSize != nil && *in.MpuObjectSize != o.Size {
		return errInvalidRequest("The provided 'x-amz-mp-object-size' header value does not match what was computed: %d bytes", o.Size)
	}
	if t := in.ChecksumType; t != "" && u.Algorithm != "" && t != uploadType(u) {
		return errInvalidRequest("The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", uploadType(u))
	}
	claimed := sumFields{in.ChecksumCRC32, in.ChecksumCRC32C, in.ChecksumCRC64NVME, in.ChecksumSHA1, in.ChecksumSHA256}.checksums()
	for name, value := range claimed {
		if have, ok := o.Checksums[name]; !ok || have != value {
			return errBadDigest(strings.ToUpper(name))
		}
	}
	return nil
}

func completed(in *awss3.CompleteMultipartUploadInput, o Object) *awss3.CompleteMultipartUploadOutput {
	f, sse := o.Checksums.fields(), o.Sealing.fields()
	return &awss3.CompleteMultipartUploadOutput{
		Bucket: in.Bucket, Key: in.Key, Location: aws.String("/" + o.Bucket + "/" + o.Key), ETag: quoted(o.ETag),
		ServerSideEncryption: sse.algorithm, SSEKMSKeyId: sse.keyID, BucketKeyEnabled: sse.bucketKey,
		ChecksumCRC32: f.CRC32, ChecksumCRC32C: f.CRC32C, ChecksumCRC64NVME: f.CRC64NVME, ChecksumSHA1: f.SHA1, ChecksumSHA256: f.SHA256,
		ChecksumType: checksumType(o.Checksums, o.Composite),
	}
}
