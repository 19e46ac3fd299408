package s3

import (
	"context"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister"
)

// Bucket policies and public access blocks are not evaluated yet, and nothing is stored that is not
// enforced: reading answers "not configured", writing is refused, deleting has nothing to do.

// GetBucketPolicy answers NoSuchBucketPolicy.
func (s *Service) GetBucketPolicy(ctx context.Context, in *awss3.GetBucketPolicyInput, _ ...func(*awss3.Options)) (*awss3.GetBucketPolicyOutput, error) {
	if err := s.onBucket(ctx, "s3:GetBucketPolicy", in.Bucket); err != nil {
		return nil, err
	}
	if _, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner); err != nil {
		return nil, err
	}
	return nil, cloister.Errorf("NoSuchBucketPolicy", "The bucket policy does not exist").WithStatus(404)
}

// PutBucketPolicy is not served.
func (s *Service) PutBucketPolicy(ctx context.Context, in *awss3.PutBucketPolicyInput, _ ...func(*awss3.Options)) (*awss3.PutBucketPolicyOutput, error) {
	if err := s.onBucket(ctx, "s3:PutBucketPolicy", in.Bucket); err != nil {
		return nil, err
	}
	return nil, errNotImplemented("a bucket policy")
}

// DeleteBucketPolicy succeeds: there is none.
func (s *Service) DeleteBucketPolicy(ctx context.Context, in *awss3.DeleteBucketPolicyInput, _ ...func(*awss3.Options)) (*awss3.DeleteBucketPolicyOutput, error) {
	if err := s.onBucket(ctx, "s3:DeleteBucketPolicy", in.Bucket); err != nil {
		return nil, err
	}
	if _, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner); err != nil {
		return nil, err
	}
	return &awss3.DeleteBucketPolicyOutput{}, nil
}

// GetPublicAccessBlock answers NoSuchPublicAccessBlockConfiguration. Nothing is public here in any case.
func (s *Service) GetPublicAccessBlock(ctx context.Context, in *awss3.GetPublicAccessBlockInput, _ ...func(*awss3.Options)) (*awss3.GetPublicAccessBlockOutput, error) {
	if err := s.onBucket(ctx, "s3:GetBucketPublicAccessBlock", in.Bucket); err != nil {
		return nil, err
	}
	if _, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner); err != nil {
		return nil, err
	}
	return nil, cloister.Errorf("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found").WithStatus(404)
}

// PutPublicAccessBlock is not served.
func (s *Service) PutPublicAccessBlock(ctx context.Context, in *awss3.PutPublicAccessBlockInput, _ ...func(*awss3.Options)) (*awss3.PutPublicAccessBlockOutput, error) {
	if err := s.onBucket(ctx, "s3:PutBucketPublicAccessBlock", in.Bucket); err != nil {
		return nil, err
	}
	return nil, errNotImplemented("a public access block")
}

// DeletePublicAccessBlock succeeds: there is none.
func (s *Service) DeletePublicAccessBlock(ctx context.Context, in *awss3.DeletePublicAccessBlockInput, _ ...func(*awss3.Options)) (*awss3.DeletePublicAccessBlockOutput, error) {
	if err := s.onBucket(ctx, "s3:PutBucketPublicAccessBlock", in.Bucket); err != nil {
		return nil, err
	}
	if _, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner); err != nil {
		return nil, err
	}
	return &awss3.DeletePublicAccessBlockOutput{}, nil
}
