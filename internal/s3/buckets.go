package s3

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.com/cloister"
)

// CreateBucket creates a bucket in the region of the location constraint, else of the request. Creating one
// again is an error, except in us-east-1, where S3 answers 200.
func (s *Service) CreateBucket(ctx context.Context, in *awss3.CreateBucketInput, _ ...func(*awss3.Options)) (*awss3.CreateBucketOutput, error) {
	if err := s.onBucket(ctx, "s3:CreateBucket", in.Bucket); err != nil {
		return nil, err
	}
	configured := in.CreateBucketConfiguration
	if configured == nil {
		configured = &types.CreateBucketConfiguration{}
	}
	if err := refuse(
		feature{"a bucket ACL other than private", in.ACL != "" && in.ACL != types.BucketCannedACLPrivate},
		grants(in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWrite, in.GrantWriteACP),
		feature{"object lock", aws.ToBool(in.ObjectLockEnabledForBucket)},
		feature{"an object ownership other than BucketOwnerEnforced", in.ObjectOwnership != "" && in.ObjectOwnership != types.ObjectOwnershipBucketOwnerEnforced},
		feature{"a bucket namespace other than global", in.BucketNamespace != "" && in.BucketNamespace != types.BucketNamespaceGlobal},
		feature{"a directory bucket", configured.Bucket != nil || configured.Location != nil},
		feature{"bucket tagging", len(configured.Tags) > 0},
	); err != nil {
		return nil, err
	}
	name := aws.ToString(in.Bucket)
	if err := checkBucketName(name); err != nil {
		return nil, err
	}
	region, err := bucketRegion(cloister.CallFrom(ctx).Region, string(configured.LocationConstraint))
	if err != nil {
		return nil, err
	}
	have, err := s.store.CreateBucket(ctx, Bucket{Name: name, Account: s.account, Region: region, Created: s.moment()})
	if errors.Is(err, ErrBucketExists) {
		if have.Account != s.account {
			return nil, bucketTaken("BucketAlreadyExists", name, "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.")
		}
		if have.Region != cloister.DefaultRegion || region != cloister.DefaultRegion {
			return nil, bucketTaken("BucketAlreadyOwnedByYou", name, "Your previous request to create the named bucket succeeded and you already own it.")
		}
		err = nil
	}
	if err != nil {
		return nil, errInternal("create bucket: %w", err)
	}
	return &awss3.CreateBucketOutput{Location: aws.String("/" + name), BucketArn: aws.String(bucketARN(name))}, nil
}

func bucketTaken(code, name, message string) error {
	e := cloister.Errorf(code, "%s", message).WithStatus(409)
	e.Fields = map[string]string{"BucketName": name}
	return e
}

// bucketRegion applies S3's rules for the location constraint: us-east-1 is never named and takes any,
// every other region wants its own.
func bucketRegion(endpoint cloister.Region, constraint string) (cloister.Region, error) {
	if constraint == "EU" {
		constraint = "eu-west-1"
	}
	if endpoint == "" {
		endpoint = cloister.DefaultRegion
	}
	region := cloister.Region(constraint)
	switch {
	case constraint == "" && endpoint == cloister.DefaultRegion:
		return endpoint, nil
	case constraint == "":
		return "", cloister.Errorf("IllegalLocationConstraintException", "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to.").WithStatus(400)
	case region == cloister.DefaultRegion || !region.Valid():
		return "", cloister.Errorf("InvalidLocationConstraint", "The specified location-constraint is not valid").WithStatus(400)
	case endpoint != cloister.DefaultRegion && region != endpoint:
		return "", cloister.Errorf("IllegalLocationConstraintException", "The %s location constraint is incompatible for the region specific endpoint this request was sent to.", constraint).WithStatus(400)
	}
	return region, nil
}

// HeadBucket tells whether a bucket exists, and its region.
func (s *Service) HeadBucket(ctx context.Context, in *awss3.HeadBucketInput, _ ...func(*awss3.Options)) (*awss3.HeadBucketOutput, error) {
	if err := s.onBucket(ctx, "s3:ListBucket", in.Bucket); err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if cloister.Code(err) == "NoSuchBucket" {
		return nil, errNotFound().WithCause(err)
	}
	if err != nil {
		return nil, err
	}
	return &awss3.HeadBucketOutput{
		BucketRegion: aws.String(string(b.Region)), BucketArn: aws.String(bucketARN(b.Name)), AccessPointAlias: aws.Bool(false),
	}, nil
}

// GetBucketLocation returns the region of a bucket; us-east-1 is the empty constraint, as in S3.
func (s *Service) GetBucketLocation(ctx context.Context, in *awss3.GetBucketLocationInput, _ ...func(*awss3.Options)) (*awss3.GetBucketLocationOutput, error) {
	if err := s.onBucket(ctx, "s3:GetBucketLocation", in.Bucket); err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	out := &awss3.GetBucketLocationOutput{}
	if b.Region != cloister.DefaultRegion {
		out.LocationConstraint = types.BucketLocationConstraint(b.Region)
	}
	return out, nil
}

// ListBuckets lists the account's buckets of all regions, by name. Without MaxBuckets it lists up to 10,000.
func (s *Service) ListBuckets(ctx context.Context, in *awss3.ListBucketsInput, _ ...func(*awss3.Options)) (*awss3.ListBucketsOutput, error) {
	if err := s.authorize(ctx, "s3:ListAllMyBuckets", "*"); err != nil {
		return nil, err
	}
	limit := 10000
	if in.MaxBuckets != nil {
		limit = int(*in.MaxBuckets)
	}
	if limit < 1 || limit > 10000 {
		return nil, errInvalidArgument("max-buckets must be between 1 and 10000")
	}
	after, err := decodeToken(in.ContinuationToken)
	if err != nil {
		return nil, err
	}
	buckets, err := s.store.Buckets(ctx, s.account, cloister.Region(aws.ToString(in.BucketRegion)), aws.ToString(in.Prefix), after, limit+1)
	if err != nil {
		return nil, errInternal("list buckets: %w", err)
	}
	out := &awss3.ListBucketsOutput{Buckets: []types.Bucket{}, Owner: s.owner(), Prefix: in.Prefix}
	if len(buckets) > limit {
		buckets = buckets[:limit]
		out.ContinuationToken = encodeToken(buckets[limit-1].Name)
	}
	for _, b := range buckets {
		out.Buckets = append(out.Buckets, types.Bucket{
			Name: aws.String(b.Name), CreationDate: aws.Time(b.Created),
			BucketRegion: aws.String(string(b.Region)), BucketArn: aws.String(bucketARN(b.Name)),
		})
	}
	return out, nil
}

// owner is who owns every bucket and object: AWS shows a canonical user id there, we the account.
func (s *Service) owner() *types.Owner { return &types.Owner{ID: aws.String(string(s.account))} }

// DeleteBucket deletes a bucket that has no objects, with its unfinished uploads.
func (s *Service) DeleteBucket(ctx context.Context, in *awss3.DeleteBucketInput, _ ...func(*awss3.Options)) (*awss3.DeleteBucketOutput, error) {
	if err := s.onBucket(ctx, "s3:DeleteBucket", in.Bucket); err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	removed, err := s.store.DeleteBucket(ctx, b.Name)
	if errors.Is(err, ErrBucketNotEmpty) {
		return nil, bucketTaken("BucketNotEmpty", b.Name, "The bucket you tried to delete is not empty")
	}
	if err != nil {
		return nil, bucketError(err, b.Name)
	}
	s.forget(ctx, removed)
	return &awss3.DeleteBucketOutput{}, nil
}

// PutBucketEncryption sets how new objects are encrypted. Objects that are there stay as they are.
func (s *Service) PutBucketEncryption(ctx context.Context, in *awss3.PutBucketEncryptionInput, _ ...func(*awss3.Options)) (*awss3.PutBucketEncryptionOutput, error) {
	if err := s.onBucket(ctx, "s3:PutEncryptionConfiguration", in.Bucket); err != nil {
		return nil, err
	}
	c := in.ServerSideEncryptionConfiguration
	if c == nil || len(c.Rules) != 1 || (c.Rules[0].ApplyServerSideEncryptionByDefault == nil && c.Rules[0].BucketKeyEnabled == nil) {
		return nil, cloister.Errorf("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema: one rule with ApplyServerSideEncryptionByDefault is wanted.").WithStatus(400)
	}
	e, err := ruleEncryption(c.Rules[0])
	if err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if e.KeyID, err = keyOfRegion(e.KeyID, b.Region); err != nil {
		return nil, err
	}
	if err := s.store.SetEncryption(ctx, b.Name, e); err != nil {
		return nil, bucketError(err, b.Name)
	}
	return &awss3.PutBucketEncryptionOutput{}, nil
}

func ruleEncryption(rule types.ServerSideEncryptionRule) (Encryption, error) {
	if blocked := rule.BlockedEncryptionTypes; blocked != nil {
		for _, t := range blocked.EncryptionType {
			if t != types.EncryptionTypeNone && t != types.EncryptionTypeSseC { // SSE-C is never served
				return Encryption{}, errNotImplemented("blocking an encryption type other than SSE-C")
			}
		}
	}
	e := Encryption{BucketKey: aws.ToBool(rule.BucketKeyEnabled)}
	by := rule.ApplyServerSideEncryptionByDefault
	if by == nil {
		return e, nil
	}
	e.KeyID = strings.TrimSpace(aws.ToString(by.KMSMasterKeyID))
	switch by.SSEAlgorithm {
	case types.ServerSideEncryptionAes256:
		if e.KeyID != "" {
			return Encryption{}, errInvalidArgument("a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms")
		}
	case types.ServerSideEncryptionAwsKms:
		if e.KeyID == "" {
			return Encryption{}, errNoManagedKey()
		}
	case types.ServerSideEncryptionAwsKmsDsse, types.ServerSideEncryptionAwsFsx, types.ServerSideEncryptionAwsBackup:
		return Encryption{}, errNotImplemented("default encryption with " + string(by.SSEAlgorithm))
	default:
		return Encryption{}, errInvalidArgument("The SSEAlgorithm is one of AES256 and aws:kms.")
	}
	return e, nil
}

// GetBucketEncryption returns how new objects are encrypted: SSE-S3 unless something else was set.
func (s *Service) GetBucketEncryption(ctx context.Context, in *awss3.GetBucketEncryptionInput, _ ...func(*awss3.Options)) (*awss3.GetBucketEncryptionOutput, error) {
	if err := s.onBucket(ctx, "s3:GetEncryptionConfiguration", in.Bucket); err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	by := &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAes256}
	if b.Default.KeyID != "" {
		by.SSEAlgorithm, by.KMSMasterKeyID = types.ServerSideEncryptionAwsKms, aws.String(b.Default.KeyID)
	}
	return &awss3.GetBucketEncryptionOutput{ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
		Rules: []types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: by, BucketKeyEnabled: aws.Bool(b.Default.BucketKey)}},
	}}, nil
}

// DeleteBucketEncryption makes SSE-S3 the default again.
func (s *Service) DeleteBucketEncryption(ctx context.Context, in *awss3.DeleteBucketEncryptionInput, _ ...func(*awss3.Options)) (*awss3.DeleteBucketEncryptionOutput, error) {
	if err := s.onBucket(ctx, "s3:PutEncryptionConfiguration", in.Bucket); err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if err := s.store.SetEncryption(ctx, b.Name, Encryption{}); err != nil {
		return nil, bucketError(err, b.Name)
	}
	return &awss3.DeleteBucketEncryptionOutput{}, nil
}
