package bedrock

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsbedrock "github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"

	"example.com/cloister"
	"example.com/cloister/internal/runner"
)

// GetModelCustomizationJob describes a job, found by name or ARN. Members that are not set are absent.
func (s *Service) GetModelCustomizationJob(ctx context.Context, in *awsbedrock.GetModelCustomizationJobInput, _ ...func(*awsbedrock.Options)) (*awsbedrock.GetModelCustomizationJobOutput, error) {
	job, err := s.findJob(ctx, "GetModelCustomizationJob", aws.ToString(in.JobIdentifier))
	if err != nil {
		return nil, err
	}
	logs, err := s.Store.StepLogs(ctx, []string{job.ID})
	if err != nil {
		return nil, err
	}
	out := &awsbedrock.GetModelCustomizationJobOutput{
		JobArn: aws.String(job.ARN), JobName: aws.String(job.Name), OutputModelName: aws.String(job.ModelName),
		RoleArn: aws.String(job.RoleARN), CreationTime: aws.Time(job.Created), LastModifiedTime: aws.Time(job.Modified),
		BaseModelArn: aws.String(s.askedARN(job.Region, job.AskedBase)), CustomizationType: types.CustomizationType(job.Type),
		Status: types.ModelCustomizationJobStatus(job.Status), StatusDetails: statusDetails(job, logs[job.ID]),
		HyperParameters: job.HyperParameters, TrainingDataConfig: &types.TrainingDataConfig{S3Uri: aws.String(job.TrainingURI)},
		OutputDataConfig: &types.OutputDataConfig{S3Uri: aws.String(job.OutputURI)}, ValidationDataConfig: validationConfig(job),
		VpcConfig:         vpcConfig(job),
		ValidationMetrics: []types.ValidatorMetric{},
	}
	if job.Token != "" {
		out.ClientRequestToken = aws.String(job.Token)
	}
	if !job.Ended.IsZero() {
		out.EndTime = aws.Time(job.Ended)
	}
	if job.FailureMessage != "" {
		out.FailureMessage = aws.String(job.FailureMessage)
	}
	if job.KeyARN != "" {
		out.OutputModelKmsKeyArn = aws.String(job.KeyARN)
	}
	if job.Status == Completed {
		out.OutputModelArn = aws.String(job.ModelARN)
		out.TrainingMetrics, out.ValidationMetrics = metrics(job)
	}
	return out, nil
}

// metrics are a completed job's losses in the API's form.
func metrics(job Job) (*types.TrainingMetrics, []types.ValidatorMetric) {
	var training *types.TrainingMetrics
	if job.TrainingLoss != nil {
		training = &types.TrainingMetrics{TrainingLoss: aws.Float32(float32(*job.TrainingLoss))}
	}
	validation := []types.ValidatorMetric{}
	for _, loss := range job.ValidationLoss {
		validation = append(validation, types.ValidatorMetric{ValidationLoss: aws.Float32(float32(loss))})
	}
	return training, validation
}

// validationConfig is absent when no validation data was given, as in the real service's answers.
func validationConfig(job Job) *types.ValidationDataConfig {
	if len(job.ValidationURIs) == 0 {
		return nil
	}
	out := &types.ValidationDataConfig{}
	for _, uri := range job.ValidationURIs {
		out.Validators = append(out.Validators, types.Validator{S3Uri: aws.String(uri)})
	}
	return out
}

func statusDetails(job Job, log []runner.Event) *types.StatusDetails {
	d := details(job.Status, log)
	at := func(ms int64) *time.Time {
		if ms == 0 {
			return nil
		}
		return aws.Time(time.UnixMilli(ms).UTC())
	}
	v, p, t := d[TaskValidation], d[TaskDataProcessing], d[TaskTraining]
	return &types.StatusDetails{
		ValidationDetails:     &types.ValidationDetails{Status: types.JobStatusDetails(v.Status), CreationTime: at(v.Created), LastModifiedTime: at(v.Modified)},
		DataProcessingDetails: &types.DataProcessingDetails{Status: types.JobStatusDetails(p.Status), CreationTime: at(p.Created), LastModifiedTime: at(p.Modified)},
		TrainingDetails:       &types.TrainingDetails{Status: types.JobStatusDetails(t.Status), CreationTime: at(t.Created), LastModifiedTime: at(t.Modified)},
	}
}

// defaultPage is the page size when none is asked for; AWS publishes none.
const defaultPage = 100

// ListModelCustomizationJobs lists jobs, newest first unless asked otherwise.
func (s *Service) ListModelCustomizationJobs(ctx context.Context, in *awsbedrock.ListModelCustomizationJobsInput, _ ...func(*awsbedrock.Options)) (*awsbedrock.ListModelCustomizationJobsOutput, error) {
	if err := s.authorize(ctx, "ListModelCustomizationJobs", "*"); err != nil {
		return nil, err
	}
	q := JobQuery{
		Account: s.Account, Region: cloister.CallFrom(ctx).Region, After: aws.ToTime(in.CreationTimeAfter), Before: aws.ToTime(in.CreationTimeBefore),
		Status: Status(in.StatusEquals), NameContains: aws.ToString(in.NameContains), Ascending: in.SortOrder == types.SortOrderAscending,
	}
	limit, err := paging(&q, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	jobs, err := s.Store.Jobs(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &awsbedrock.ListModelCustomizationJobsOutput{ModelCustomizationJobSummaries: []types.ModelCustomizationJobSummary{}}
	if len(jobs) > limit {
		jobs = jobs[:limit]
		last := jobs[limit-1]
		out.NextToken = nextToken(q, last.Created, last.ID)
	}
	ids := make([]string, len(jobs))
	for i, job := range jobs {
		ids[i] = job.ID
	}
	logs, err := s.Store.StepLogs(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, job := range jobs {
		summary := types.ModelCustomizationJobSummary{
			JobArn: aws.String(job.ARN), JobName: aws.String(job.Name), BaseModelArn: aws.String(s.askedARN(job.Region, job.AskedBase)),
			Status: types.ModelCustomizationJobStatus(job.Status), StatusDetails: statusDetails(job, logs[job.ID]),
			CreationTime: aws.Time(job.Created), LastModifiedTime: aws.Time(job.Modified), CustomModelName: aws.String(job.ModelName),
			CustomizationType: types.CustomizationType(job.Type),
		}
		if !job.Ended.IsZero() {
			summary.EndTime = aws.Time(job.Ended)
		}
		if job.Status == Completed {
			summary.CustomModelArn = aws.String(job.ModelARN)
		}
		out.ModelCustomizationJobSummaries = append(out.ModelCustomizationJobSummaries, summary)
	}
	return out, nil
}

// cursor is what a nextToken says: where to go on, and for which list.
type cursor struct {
	Time int64  `json:"t"`
	ID   string `json:"i"`
	List string `json:"l"`
}

// list names the selection, so that a token of another list is refused.
func (q JobQuery) list() string {
	return fmt.Sprintf("%s %d %d %s %s %t %s", q.Region, q.After.UnixMilli(), q.Before.UnixMilli(), q.Status, q.NameContains, q.Ascending, q.Foundation)
}

// paging sets the query's limit, one above the page's, and its cursor.
func paging(q *JobQuery, maxResults *int32, token *string) (limit int, err error) {
	limit = defaultPage
	if maxResults != nil {
		limit = int(*maxResults)
	}
	q.Limit = limit + 1
	if token == nil {
		return limit, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(*token)
	var c cursor
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil || c.List != q.list() || c.ID == "" {
		return 0, cloister.Errorf("ValidationException", "The provided nextToken is invalid: it belongs to another list, or is not one of ours.")
	}
	q.CursorTime, q.CursorID = time.UnixMilli(c.Time), c.ID
	return limit, nil
}

func nextToken(q JobQuery, at time.Time, id string) *string {
	text, _ := json.Marshal(cursor{at.UnixMilli(), id, q.list()}) // cannot fail
	return aws.String(base64.RawURLEncoding.EncodeToString(text))
}

// StopModelCustomizationJob stops a job. A waiting job ends at once; a running one ends at the end of its
// engine's step. Stopping a job that is Stopping is no error.
func (s *Service) StopModelCustomizationJob(ctx context.Context, in *awsbedrock.StopModelCustomizationJobInput, _ ...func(*awsbedrock.Options)) (*awsbedrock.StopModelCustomizationJobOutput, error) {
	job, err := s.findJob(ctx, "StopModelCustomizationJob", aws.ToString(in.JobIdentifier))
	if err != nil {
		return nil, err
	}
	err = s.Store.UpdateJob(ctx, job.ID, func(j *Job) error {
		if j.Status == Stopping {
			return nil
		}
		next, err := j.Status.move(Stopping)
		if err != nil {
			return cloister.Errorf("ConflictException", "The job %s is %s and can no longer be stopped.", j.Name, j.Status)
		}
		j.Status, j.Modified = next, s.Now()
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.bell.ring(job.ID)
	if s.runner.Stop(job.ID) {
		return &awsbedrock.StopModelCustomizationJobOutput{}, nil
	}
	// If a runner has claimed the job meanwhile, it sees Stopping and ends it, key and all.
	ended, err := s.Store.StopQueued(ctx, job.ID, s.Now())
	if err != nil {
		return nil, err
	}
	s.bell.ring(job.ID)
	if ended {
		if err := s.dropKey(context.WithoutCancel(ctx), job); err != nil { // the next start tries again
			s.Log.ErrorContext(ctx, "cannot destroy the key of a stopped job", slog.String("job", job.ID), slog.Any("error", err))
		}
	}
	return &awsbedrock.StopModelCustomizationJobOutput{}, nil
}

// dropKey destroys the data key of a job that ends without a model, and retires its grant.
func (s *Service) dropKey(ctx context.Context, job Job) error {
	if err := s.tryRetire(ctx, job.Region, job.KeyARN, job.GrantID); err != nil {
		return err
	}
	err := s.Store.UpdateJob(ctx, job.ID, func(j *Job) error {
		j.WrappedKey = nil
		return nil
	})
	if err != nil || job.WrappedKey == nil {
		return err
	}
	return s.Store.Scrub(ctx)
}
