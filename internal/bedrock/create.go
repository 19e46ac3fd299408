package bedrock

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsbedrock "github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"

	"example.com/cloister"
	"example.com/cloister/internal/basemodel"
)

const maxTags = 50 // per resource; Bedrock API Reference, TooManyTagsException

// CreateModelCustomizationJob checks a request as far as it can be checked now, makes the keys, and
// queues the job. The order of the checks is that of docs/states.md.
func (s *Service) CreateModelCustomizationJob(ctx context.Context, in *awsbedrock.CreateModelCustomizationJobInput, _ ...func(*awsbedrock.Options)) (*awsbedrock.CreateModelCustomizationJobOutput, error) {
	region := cloister.CallFrom(ctx).Region
	err := s.authorize(ctx, "CreateModelCustomizationJob", s.askedARN(region, aws.ToString(in.BaseModelIdentifier)), s.arn(region, "custom-model/*"))
	if err != nil {
		return nil, err
	}
	hash, err := requestHash(in)
	if err != nil {
		return nil, err
	}
	if token := aws.ToString(in.ClientRequestToken); token != "" {
		if out, err := s.replay(ctx, region, token, hash); out != nil || err != nil {
			return out, err
		}
	}
	if why := s.Executor.Report().Unavailable; why != "" {
		return nil, cloister.Errorf("ValidationException", "This host cannot isolate jobs, so none are run: %s ('cloister doctor' says what to change)", why)
	}
	if _, err := s.Engine.Mounts(); err != nil {
		return nil, cloister.Errorf("ValidationException", "The training engine is not ready: %v", err)
	}
	job, tags, modelTags, err := s.newJob(ctx, in)
	if err != nil {
		return nil, err
	}
	job.RequestHash = hash
	if err := s.namesFree(ctx, job); err != nil { // before keys are made; the store checks again
		return nil, err
	}
	if err := s.checkAccess(ctx, job); err != nil {
		return nil, err
	}
	if err := s.makeKey(ctx, &job, aws.ToString(in.CustomModelKmsKeyId)); err != nil {
		return nil, err
	}
	if err := s.Store.CreateJob(ctx, job, tags, modelTags, s.Queue); err != nil {
		s.retireGrant(context.WithoutCancel(ctx), job.Region, job.KeyARN, job.GrantID)
		if errors.Is(err, ErrToken) { // the same request came twice at once
			if out, err := s.replay(ctx, region, job.Token, hash); out != nil || err != nil {
				return out, err
			}
		}
		return nil, s.createError(job, err)
	}
	s.runner.Wake()
	return &awsbedrock.CreateModelCustomizationJobOutput{JobArn: aws.String(job.ARN)}, nil
}

// askedARN is the foundation model's ARN that a caller named, for the authorizer.
func (s *Service) askedARN(region cloister.Region, identifier string) string {
	if strings.HasPrefix(identifier, "arn:") {
		return identifier
	}
	return cloister.NewARN("bedrock", region, "", "foundation-model/"+identifier).String()
}

// requestHash is a hash of everything in a request but the token.
func requestHash(in *awsbedrock.CreateModelCustomizationJobInput) (string, error) {
	bare := *in
	bare.ClientRequestToken = nil
	text, err := json.Marshal(bare)
	if err != nil {
		return "", fmt.Errorf("hash request: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// replay answers a request whose token was seen before; both results are nil if it was not.
func (s *Service) replay(ctx context.Context, region cloister.Region, token, hash string) (*awsbedrock.CreateModelCustomizationJobOutput, error) {
	job, err := s.Store.JobByToken(ctx, s.Account, region, token)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case job.RequestHash != hash:
		return nil, cloister.Errorf("ConflictException", "The clientRequestToken was used before with other parameters.")
	}
	return &awsbedrock.CreateModelCustomizationJobOutput{JobArn: aws.String(job.ARN)}, nil
}

// newJob builds a job from a request, checking tags, base model, kind and hyperparameters.
func (s *Service) newJob(ctx context.Context, in *awsbedrock.CreateModelCustomizationJobInput) (job Job, tags, modelTags map[string]string, err error) {
	fail := func(err error) (Job, map[string]string, map[string]string, error) { return Job{}, nil, nil, err }
	if tags, err = tagMap(in.JobTags); err != nil {
		return fail(err)
	}
	if modelTags, err = tagMap(in.CustomModelTags); err != nil {
		return fail(err)
	}
	call := cloister.CallFrom(ctx)
	identifier := aws.ToString(in.BaseModelIdentifier)
	if strings.Contains(identifier, ":custom-model/") {
		return fail(cloister.Errorf("ValidationException", "A custom model as the base of another job is not served yet: give a foundation model."))
	}
	found, err := s.resolveBase(call.Region, identifier)
	if errors.Is(err, errNoBase) {
		return fail(s.noBaseError(identifier))
	}
	if err != nil {
		return fail(err)
	}
	kind := in.CustomizationType
	if kind == "" {
		kind = types.CustomizationTypeFineTuning
	}
	if kind != types.CustomizationTypeFineTuning && kind != types.CustomizationTypeContinuedPreTraining {
		return fail(cloister.Errorf("ValidationException", "customizationType %s is not served: FINE_TUNING and CONTINUED_PRE_TRAINING are.", kind))
	}
	if err := served(in); err != nil {
		return fail(err)
	}
	now := s.Now()
	job = Job{
		ID: newID(), Account: s.Account, Region: call.Region, Name: aws.ToString(in.JobName), Principal: call.Principal.ARN,
		ModelName: aws.ToString(in.CustomModelName), Type: string(kind), AskedBase: found.asked, UsedBase: found.used,
		RoleARN: aws.ToString(in.RoleArn), TrainingURI: aws.ToString(in.TrainingDataConfig.S3Uri), OutputURI: aws.ToString(in.OutputDataConfig.S3Uri),
		Token: aws.ToString(in.ClientRequestToken), Status: InProgress, Created: now, Modified: now,
	}
	job.ARN = s.arn(job.Region, "model-customization-job/"+job.AskedBase+"/"+job.ID)
	job.ModelARN = s.arn(job.Region, "custom-model/"+job.AskedBase+"/"+newID())
	if in.ValidationDataConfig != nil {
		for _, v := range in.ValidationDataConfig.Validators {
			job.ValidationURIs = append(job.ValidationURIs, aws.ToString(v.S3Uri))
		}
	}
	if err := s.checkVPC(ctx, &job, in.VpcConfig); err != nil {
		return fail(err)
	}
	if err := checkOutputKeys(job); err != nil {
		return fail(err)
	}
	if err := job.configure(found.manifest, in.HyperParameters); err != nil {
		return fail(err)
	}
	return job, tags, modelTags, nil
}

// configure resolves the hyperparameters.
func (j *Job) configure(manifest basemodel.Manifest, given map[string]string) error {
	profile, err := manifest.HyperparameterProfile()
	if err != nil {
		return err
	}
	r, err := profile.Resolve(given)
	if err != nil {
		return cloister.Errorf("ValidationException", "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	j.HyperParameters = r.Echo
	scale := 1.0
	if r.LearningRate > 0 {
		scale = r.EffectiveLearningRate / r.LearningRate
	}
	j.Training = Training{
		Method: r.Method, Epochs: r.Epochs, BatchSize: r.BatchSize, LearningRate: r.LearningRate, UsedLearningRate: r.EffectiveLearningRate,
		LearningRateScale: scale, WarmupSteps: r.WarmupSteps, MaxSequenceLength: r.MaxSequenceLength, Seed: r.Seed,
	}
	if r.Method == basemodel.MethodLoRA {
		j.Training.LoRARank = r.LoRARank
	}
	return nil
}

// served refuses members of a request that would be accepted and not honoured.
func served(in *awsbedrock.CreateModelCustomizationJobInput) error {
	switch {
	case in.CustomizationConfig != nil:
		return cloister.Errorf("ValidationException", "customizationConfig is for distillation and reinforcement fine-tuning, which are not served.")
	case in.TrainingDataConfig.InvocationLogsConfig != nil:
		return cloister.Errorf("ValidationException", "trainingDataConfig.invocationLogsConfig is for distillation, which is not served: give s3Uri.")
	case aws.ToString(in.TrainingDataConfig.S3Uri) == "":
		return cloister.Errorf("ValidationException", "trainingDataConfig.s3Uri is missing.")
	}
	return nil
}

// tagMap checks tags and refuses two with one key.
func tagMap(tags []types.Tag) (map[string]string, error) {
	out := make(map[string]string, len(tags))
	for _, tag := range tags {
		key := aws.ToString(tag.Key)
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return nil, cloister.Errorf("ValidationException", "Tag keys that begin with aws: are reserved: %s", key)
		}
		if _, twice := out[key]; twice {
			return nil, cloister.Errorf("ValidationException", "The tag key %s is given twice.", key)
		}
		out[key] = aws.ToString(tag.Value)
	}
	if len(out) > maxTags {
		return nil, tooManyTags()
	}
	return out, nil
}

func tooManyTags() error {
	return cloister.Errorf("TooManyTagsException", "A resource has at most %d tags.", maxTags)
}

// namesFree answers conflicts before anything is made.
func (s *Service) namesFree(ctx context.Context, job Job) error {
	if existing, err := s.Store.Job(ctx, job.Account, job.Region, job.Name); err == nil && existing.Name == job.Name {
		return s.createError(job, ErrJobName)
	} else if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if _, err := s.Store.Model(ctx, job.Account, job.Region, job.ModelName); err == nil {
		return s.createError(job, ErrModelName)
	} else if !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

func (s *Service) createError(job Job, err error) error {
	switch {
	case errors.Is(err, ErrJobName):
		return cloister.Errorf("ConflictException", "The provided job name is currently in use: %s", job.Name)
	case errors.Is(err, ErrModelName):
		return cloister.Errorf("ConflictException", "The provided custom model name is currently in use: %s", job.ModelName)
	case errors.Is(err, ErrQueueFull):
		return cloister.Errorf("ServiceQuotaExceededException", "%d customization jobs are waiting already, and no more may: try again when one has ended (jobs.queue in cloister.toml).", s.Queue)
	}
	return err
}
