package bedrock

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister"
	"example.com/cloister/internal/engine"
)

// The files below OUTPUT/model-customization-job-ID/. The validation file is written at two paths, since
// AWS's guide and AWS's samples differ.
// Source: Bedrock User Guide, "Analyze the results of a model customization job"; AWS's workshop notebooks.
const stepMetricsPath = "training_artifacts/step_wise_training_metrics.csv"

func validationMetricsPaths() []string {
	return []string{
		"validation_artifacts/post_fine_tuning_validation/validation_metrics.csv",
		"validation_artifacts/post_fine_tuning_validation/validation/validation_metrics.csv",
	}
}

// outputKey is the key of an output file.
func outputKey(job Job, name string) (location, error) {
	at, err := parseURI(job.OutputURI)
	if err != nil {
		return location{}, err
	}
	if at.key != "" && !strings.HasSuffix(at.key, "/") {
		at.key += "/"
	}
	at.key += "model-customization-job-" + job.ID + "/" + name
	return at, nil
}

// maxKey is S3's limit of a key, in bytes.
const maxKey = 1024

// checkOutputKeys makes sure, before anything is trained, that the output files can have their names.
func checkOutputKeys(job Job) error {
	for _, name := range append(validationMetricsPaths(), stepMetricsPath) {
		at, err := outputKey(job, name)
		if err != nil {
			return err
		}
		if len(at.key) > maxKey {
			return cloister.Errorf("ValidationException", "outputDataConfig.s3Uri is too long: the key of %s below it would have %d bytes, more than S3's %d.", name, len(at.key), maxKey)
		}
	}
	return nil
}

// writeOutput writes the metrics files into the customer's bucket, as the role. The bucket's own
// configuration encrypts them.
func (r *run) writeOutput(ctx context.Context) error {
	if err := r.writeStepMetrics(ctx); err != nil {
		return err
	}
	if len(r.job.ValidationURIs) == 0 {
		return nil
	}
	rows, err := r.s.Store.Progress(ctx, r.job.ID, "evaluation")
	if err != nil {
		return err
	}
	table := [][]string{{"step_number", "epoch_number", "validation_loss", "perplexity"}}
	for _, row := range rows {
		var e engine.Evaluation
		if err := json.Unmarshal(row.Data, &e); err != nil {
			return fmt.Errorf("read progress: %w", err)
		}
		table = append(table, metricsRow(e.Step, e.Epoch, e.Loss))
	}
	for _, name := range validationMetricsPaths() {
		if err := r.putCSV(ctx, name, table); err != nil {
			return err
		}
	}
	return nil
}

// writeStepMetrics writes the losses of the steps taken so far.
func (r *run) writeStepMetrics(ctx context.Context) error {
	rows, err := r.s.Store.Progress(ctx, r.job.ID, "step")
	if err != nil {
		return err
	}
	table := [][]string{{"step_number", "epoch_number", "training_loss", "perplexity"}}
	for _, row := range rows {
		var e engine.Step
		if err := json.Unmarshal(row.Data, &e); err != nil {
			return fmt.Errorf("read progress: %w", err)
		}
		table = append(table, metricsRow(e.Step, e.Epoch, e.Loss))
	}
	return r.putCSV(ctx, stepMetricsPath, table)
}

func metricsRow(step, epoch int64, loss float64) []string {
	number := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	return []string{strconv.FormatInt(step, 10), strconv.FormatInt(epoch, 10), number(loss), number(perplexity(loss))}
}

func (r *run) putCSV(ctx context.Context, name string, table [][]string) error {
	var text bytes.Buffer
	if err := csv.NewWriter(&text).WriteAll(table); err != nil {
		return err
	}
	at, err := outputKey(r.job, name)
	if err != nil {
		return err
	}
	if r.network != nil && r.box != nil {
		return r.putInVPC(ctx, at, text.Bytes())
	}
	_, err = r.s.Objects.PutObject(asJob(ctx, r.job, r.session), &s3.PutObjectInput{
		Bucket: &at.bucket, Key: &at.key, Body: bytes.NewReader(text.Bytes()), ContentLength: aws.Int64(int64(text.Len())),
		ContentType: aws.String("text/csv"),
	})
	if err != nil {
		return unwritable(at, err)
	}
	return nil
}

// keepStepMetrics writes what a stopped job has measured, if it trained at all.
func (r *run) keepStepMetrics(ctx context.Context) error {
	rows, err := r.s.Store.Progress(ctx, r.job.ID, "step")
	if err != nil || len(rows) == 0 {
		return err
	}
	if err := r.needSession(ctx); err != nil {
		return err
	}
	return r.writeStepMetrics(ctx)
}

// needSession opens the role's session if this attempt has none: clean-up may run in a process that never
// came to the first step.
func (r *run) needSession(ctx context.Context) (err error) {
	if r.session.ARN == "" {
		r.session, err = r.s.Roles.JobSession(ctx, r.job.RoleARN, ServicePrincipal, r.job.ARN)
	}
	return err
}

// deleteOutput removes what was written; buckets and roles that are gone are no error. The step metrics of
// a stopped job are written again after this.
func (r *run) deleteOutput(ctx context.Context) error {
	if err := r.needSession(ctx); err != nil {
		if cloister.Code(err) == "AccessDenied" {
			return nil
		}
		return err
	}
	for _, name := range append(validationMetricsPaths(), stepMetricsPath) {
		at, err := outputKey(r.job, name)
		if err != nil {
			return err
		}
		_, err = r.s.Objects.DeleteObject(asJob(ctx, r.job, r.session), &s3.DeleteObjectInput{Bucket: &at.bucket, Key: &at.key})
		if code := cloister.Code(err); err != nil && !slices.Contains([]string{"NoSuchBucket", "NoSuchKey", "AccessDenied", "KeyTooLongError"}, code) {
			return err
		}
	}
	return nil
}
