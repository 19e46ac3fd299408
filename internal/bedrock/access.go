package bedrock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister"
)

// location is a parsed S3 URI.
type location struct{ bucket, key string }

// parseURI splits s3://bucket/key. The wire has checked the pattern.
func parseURI(uri string) (location, error) {
	rest, ok := strings.CutPrefix(uri, "s3://")
	bucket, key, _ := strings.Cut(rest, "/")
	if !ok || bucket == "" {
		return location{}, cloister.Errorf("ValidationException", "The provided S3 URI is invalid: %s", uri)
	}
	return location{bucket, key}, nil
}

// asJob is a context in which the job's session calls.
func asJob(ctx context.Context, job Job, session cloister.Principal) context.Context {
	return cloister.WithCall(ctx, cloister.Call{RequestID: job.ID, Principal: session, Region: job.Region, Secure: true})
}

// asService is a context in which this service calls for itself.
func (s *Service) asService(ctx context.Context, region cloister.Region) context.Context {
	return cloister.WithCall(ctx, cloister.Call{
		Principal: cloister.ServicePrincipal(ServicePrincipal, s.Account), Region: region, Secure: true,
	})
}

// checkAccess makes sure, before the job exists, that its role can be assumed and that data and output
// location are there. All of it is checked again when the job runs.
func (s *Service) checkAccess(ctx context.Context, job Job) error {
	session, err := s.Roles.JobSession(ctx, job.RoleARN, ServicePrincipal, job.ARN)
	if err != nil {
		return asValidation(err)
	}
	ctx = asJob(ctx, job, session)
	for _, uri := range append([]string{job.TrainingURI}, job.ValidationURIs...) {
		if _, err := s.headData(ctx, uri); err != nil {
			return asValidation(err)
		}
	}
	return asValidation(s.checkOutput(ctx, job))
}

// dataError is a failure that the customer can mend; its text goes into a ValidationException at creation
// and into failureMessage later.
type dataError struct{ text string }

func (e *dataError) Error() string { return e.text }

func dataErrorf(format string, args ...any) error { return &dataError{fmt.Sprintf(format, args...)} }

// asValidation turns failures that the customer can mend into ValidationExceptions.
func asValidation(err error) error {
	var data *dataError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &data):
		return cloister.Errorf("ValidationException", "%s", data.text)
	case cloister.Code(err) == "AccessDenied":
		return cloister.Errorf("ValidationException", "%s", cloister.Message(err))
	}
	return err
}

// headData checks that a data set is one object that the caller may read, and returns its ETag.
func (s *Service) headData(ctx context.Context, uri string) (etag string, err error) {
	at, err := parseURI(uri)
	if err != nil {
		return "", err
	}
	if at.key == "" || strings.HasSuffix(at.key, "/") {
		return "", dataErrorf("Invalid training input data configuration. Check the input data S3 Uris (Uri should be a file, not a directory) and retry request: %s", uri)
	}
	out, err := s.Objects.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &at.bucket, Key: &at.key})
	if err != nil {
		return "", unreadable(at, err)
	}
	return aws.ToString(out.ETag), nil
}

// unreadable is AWS's text for data that the role cannot read, with the reason.
func unreadable(at location, err error) error {
	code := cloister.Code(err)
	if code == "" || code == "InternalError" {
		return err
	}
	if code == "NotFound" {
		code = "there is no such bucket or object"
	}
	return dataErrorf("Could not validate GetObject permissions to access Amazon S3 bucket: %s at key %s (%s)", at.bucket, at.key, code)
}

// checkOutput checks that the output location's bucket is there.
func (s *Service) checkOutput(ctx context.Context, job Job) error {
	at, err := parseURI(job.OutputURI)
	if err != nil {
		return err
	}
	if _, err := s.Objects.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &at.bucket}); err != nil {
		return unwritable(at, err)
	}
	return nil
}

func unwritable(at location, err error) error {
	code := cloister.Code(err)
	if code == "" || code == "InternalError" {
		return err
	}
	if code == "NotFound" {
		code = "there is no such bucket"
	}
	return dataErrorf("Amazon S3 perms missing (PutObject): Could not validate PutObject permissions to access S3 bucket: %s at key %s (%s)", at.bucket, at.key, code)
}

// keyContext is the encryption context under which a model's data key is sealed.
func keyContext(modelARN string) map[string]string {
	return map[string]string{"aws:bedrock:custom-model-arn": modelARN}
}

// makeKey makes the data key of the model to be. With a customer's key it does what Bedrock does, as the
// caller through bedrock: DescribeKey, GenerateDataKey, Decrypt of what came back, CreateGrant. The job
// opens the key later through the grant alone.
//
// Source: Bedrock User Guide, "Encryption of custom models".
func (s *Service) makeKey(ctx context.Context, job *Job, keyID string) error {
	if keyID == "" {
		out, err := s.Owned.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{EncryptionContext: keyContext(job.ModelARN)})
		if err != nil {
			return err
		}
		clear(out.Plaintext)
		job.WrappedKey = out.CiphertextBlob
		return nil
	}
	ctx = cloister.Via(ctx, "bedrock."+string(job.Region)+".amazonaws.com")
	described, err := s.Keys.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &keyID})
	if err != nil {
		return keyError(keyID, err)
	}
	key := described.KeyMetadata
	switch {
	case key.KeySpec != kmstypes.KeySpecSymmetricDefault:
		return cloister.Errorf("ValidationException", "The KMS key %s is not symmetric.", keyID)
	case key.KeyState != kmstypes.KeyStateEnabled:
		return cloister.Errorf("ValidationException", "The KMS key %s is %s: it must be Enabled.", keyID, key.KeyState)
	}
	made, err := s.Keys.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId: key.Arn, KeySpec: kmstypes.DataKeySpecAes256, EncryptionContext: keyContext(job.ModelARN),
	})
	if err != nil {
		return keyError(keyID, err)
	}
	clear(made.Plaintext)
	opened, err := s.Keys.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: made.CiphertextBlob, EncryptionContext: keyContext(job.ModelARN)})
	if err != nil {
		return keyError(keyID, err)
	}
	clear(opened.Plaintext)
	grant, err := s.Keys.CreateGrant(ctx, &kms.CreateGrantInput{
		KeyId: key.Arn, GranteePrincipal: aws.String(ServicePrincipal), RetiringPrincipal: aws.String(ServicePrincipal),
		Operations: []kmstypes.GrantOperation{
			kmstypes.GrantOperationDecrypt, kmstypes.GrantOperationGenerateDataKey, kmstypes.GrantOperationDescribeKey, kmstypes.GrantOperationCreateGrant,
		},
		Constraints: &kmstypes.GrantConstraints{EncryptionContextEquals: keyContext(job.ModelARN)},
	})
	if err != nil {
		return keyError(keyID, err)
	}
	job.KeyARN, job.GrantID, job.WrappedKey = aws.ToString(key.Arn), aws.ToString(grant.GrantId), made.CiphertextBlob
	return nil
}

// keyError turns KMS's refusals into Bedrock's: 403 for a missing permission, 400 for an unusable key.
func keyError(keyID string, err error) error {
	switch cloister.Code(err) {
	case "NotFoundException":
		return cloister.Errorf("ValidationException", "The KMS key %s does not exist: %s", keyID, cloister.Message(err))
	case "DisabledException", "KMSInvalidStateException", "InvalidKeyUsageException", "ValidationException", "InvalidArnException":
		return cloister.Errorf("ValidationException", "The KMS key %s cannot be used: %s", keyID, cloister.Message(err))
	case "AccessDeniedException":
		return cloister.Errorf("AccessDeniedException", "%s", cloister.Message(err))
	}
	return err
}

// retireGrant ends the grant of a job or model. A grant that is gone, or whose key is, is no error.
func (s *Service) retireGrant(ctx context.Context, region cloister.Region, keyARN, grantID string) {
	if err := s.tryRetire(ctx, region, keyARN, grantID); err != nil {
		s.Log.ErrorContext(ctx, "cannot retire a grant", slog.String("key", keyARN), slog.String("grant", grantID), slog.Any("error", err))
	}
}

func (s *Service) tryRetire(ctx context.Context, region cloister.Region, keyARN, grantID string) error {
	if grantID == "" {
		return nil
	}
	_, err := s.Keys.RetireGrant(s.asService(ctx, region), &kms.RetireGrantInput{KeyId: &keyARN, GrantId: &grantID})
	switch cloister.Code(err) {
	case "InvalidGrantIdException", "NotFoundException", "AccessDeniedException": // gone: nobody may retire what is not there
		return nil
	}
	return err
}

// openKey opens a model's data key: through the grant with a customer's key, else with the service's own.
func (s *Service) openKey(ctx context.Context, region cloister.Region, keyARN, modelARN string, wrapped []byte) ([]byte, error) {
	in := &kms.DecryptInput{CiphertextBlob: wrapped, EncryptionContext: keyContext(modelARN)}
	keys := s.Owned
	if keyARN != "" {
		keys, in.KeyId = s.Keys, &keyARN
	}
	out, err := keys.Decrypt(s.asService(ctx, region), in)
	if err != nil {
		return nil, err
	}
	return out.Plaintext, nil
}
