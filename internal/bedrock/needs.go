package bedrock

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister"
	"example.com/cloister/internal/basemodel"
	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/executor"
)

// Objects is what this service needs of S3. *s3.Client has these methods, and so has Cloister's own S3.
type Objects interface {
	HeadBucket(context.Context, *s3.HeadBucketInput, ...func(*s3.Options)) (*s3.HeadBucketOutput, error)
	HeadObject(context.Context, *s3.HeadObjectInput, ...func(*s3.Options)) (*s3.HeadObjectOutput, error)
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	DeleteObject(context.Context, *s3.DeleteObjectInput, ...func(*s3.Options)) (*s3.DeleteObjectOutput, error)
}

// DataKeys makes and opens data keys.
type DataKeys interface {
	GenerateDataKey(context.Context, *kms.GenerateDataKeyInput, ...func(*kms.Options)) (*kms.GenerateDataKeyOutput, error)
	Decrypt(context.Context, *kms.DecryptInput, ...func(*kms.Options)) (*kms.DecryptOutput, error)
}

// Keys is what this service needs of KMS for customers' keys. *kms.Client has these methods.
type Keys interface {
	DataKeys
	DescribeKey(context.Context, *kms.DescribeKeyInput, ...func(*kms.Options)) (*kms.DescribeKeyOutput, error)
	GetKeyPolicy(context.Context, *kms.GetKeyPolicyInput, ...func(*kms.Options)) (*kms.GetKeyPolicyOutput, error)
	CreateGrant(context.Context, *kms.CreateGrantInput, ...func(*kms.Options)) (*kms.CreateGrantOutput, error)
	RetireGrant(context.Context, *kms.RetireGrantInput, ...func(*kms.Options)) (*kms.RetireGrantOutput, error)
}

// Roles opens sessions of customers' roles for jobs.
type Roles interface {
	JobSession(ctx context.Context, roleARN, service, jobARN string) (cloister.Principal, error)
	// JobKeys gives a session temporary keys, for a process that speaks to S3 over the network.
	JobKeys(session cloister.Principal, lifetime time.Duration) SessionKeys
	// Unevaluated names the policies of a role that are stored and not evaluated.
	Unevaluated(ctx context.Context, roleARN string) ([]string, error)
}

// SessionKeys are temporary keys. End ends them.
type SessionKeys struct {
	ID            string
	Secret, Token cloister.Secret
	End           func()
}

// Networks attaches jobs to VPCs.
type Networks interface {
	// Check says whether subnets and groups can be named together: they exist, in one VPC. The error is for the caller.
	Check(ctx context.Context, region cloister.Region, subnets, groups []string) error
	// Attach makes a job's interface, and proves that it holds. The error's text is for the customer.
	Attach(ctx context.Context, j JobNetwork) (Attachment, error)
	// Cut ends the connections of a job's interface. A job without one is an error with AWS's code.
	Cut(ctx context.Context, jobID string) error
	// Detach removes it. It is idempotent, and works in another process than Attach.
	Detach(ctx context.Context, jobID string) error
}

// Bases knows the base models of this machine. *basemodel.Registry is one.
type Bases interface {
	List() ([]basemodel.Manifest, error)
	Get(id string) (basemodel.Manifest, error)
	Verify(ctx context.Context, id string) error
	Dir(id string) string
}

// Engine runs the training engine in a sandbox.
type Engine interface {
	// Mounts are what the engine's processes need to see, beside the base model.
	Mounts() ([]executor.Mount, error)
	// Run writes the specification into the sandbox, runs the engine and hands every event to the function;
	// an error of it ends the run. When ctx ends the engine is killed; when stop is closed it is asked to
	// stop at the end of its step. The result has the last event, nil if the engine died without one.
	Run(ctx context.Context, box executor.Sandbox, spec engine.Spec, onEvent func(engine.Event) error, stop <-chan struct{}) (EngineResult, error)
	// Threads is the number of threads that engines use.
	Threads() int
}

// EngineResult is how a run of the engine ended.
type EngineResult struct {
	Exit  executor.Exit
	Final engine.Event
}
