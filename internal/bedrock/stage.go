package bedrock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister"
	"example.com/cloister/internal/dataset"
	"example.com/cloister/internal/engine"
)

// stageData reads training and validation data as the job's role, checks their form line by line, and
// leaves them in the scratch.
func (r *run) stageData(ctx context.Context) error {
	if r.network != nil {
		return r.stageInVPC(ctx)
	}
	if err := r.box.Scratch().MkdirAll(inScratch(engine.DataPath), 0o755); err != nil {
		return fmt.Errorf("scratch: %w", err)
	}
	var err error
	if r.records, err = r.stage(ctx, r.job.TrainingURI, engine.TrainFile); err != nil {
		return err
	}
	for i, uri := range r.job.ValidationURIs {
		if _, err := r.stage(ctx, uri, engine.ValidationFile(i)); err != nil {
			return err
		}
	}
	return mendable(r.s.checkOutput(asJob(ctx, r.job, r.session), r.job))
}

// inScratch is a sandbox path as the scratch's os.Root knows it.
func inScratch(p string) string { return p[len(engine.Scratch)+1:] }

// stage copies one object into the scratch and returns its number of records. The object must not change
// while it is read.
func (r *run) stage(ctx context.Context, uri, target string) (records int, err error) {
	ctx = asJob(ctx, r.job, r.session)
	at, err := parseURI(uri)
	if err != nil {
		return 0, err
	}
	etag, err := r.s.headData(ctx, uri)
	if err != nil {
		return 0, err
	}
	out, err := r.s.Objects.GetObject(ctx, &s3.GetObjectInput{Bucket: &at.bucket, Key: &at.key, IfMatch: &etag})
	if err != nil {
		if cloister.Code(err) == "PreconditionFailed" {
			return 0, changedWhileRead(uri)
		}
		return 0, unreadable(at, err)
	}
	defer func() { err = errors.Join(err, out.Body.Close()) }()
	if size := aws.ToInt64(out.ContentLength); size > r.s.Limits.ScratchBytes/2 {
		return 0, dataErrorf("The data %s has %d bytes; at most %d fit into the scratch of a job ([sandbox] scratch in cloister.toml).", uri, size, r.s.Limits.ScratchBytes/2)
	}
	file, err := r.box.Scratch().OpenFile(inScratch(target), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return 0, fmt.Errorf("scratch: %w", err)
	}
	report, err := dataset.Check(ctx, out.Body, kindOf(r.job.Type), file)
	if err := errors.Join(err, file.Close()); err != nil {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return 0, dataErrorf("Could not read %s to its end (%s). The stored object may be damaged: upload it again.", uri, errorCode(err))
	}
	if len(report.Problems) > 0 {
		return 0, dataProblem(at, kindOf(r.job.Type), report)
	}
	if again, err := r.s.headData(ctx, uri); err != nil {
		return 0, err
	} else if again != etag {
		return 0, changedWhileRead(uri)
	}
	return report.Records, nil
}

func errorCode(err error) string {
	if code := cloister.Code(err); code != "" {
		return code
	}
	return "the data cannot be read"
}

func changedWhileRead(uri string) error {
	return dataErrorf("The data %s was changed while the job read it: start the job again when it stays as it is.", uri)
}

func kindOf(customization string) dataset.Kind {
	if customization == "CONTINUED_PRE_TRAINING" {
		return dataset.Input
	}
	return dataset.PromptCompletion
}

// dataProblem is AWS's text for data that cannot be used, followed by where and what.
func dataProblem(at location, kind dataset.Kind, report dataset.Report) error {
	p := report.Problems[0]
	where := p.String()
	if n := len(report.Problems); n > 1 {
		more := fmt.Sprint(n - 1)
		if n == dataset.MaxProblems {
			more += " or more"
		}
		where += " (and " + more + " other lines)"
	}
	if p.NotJSON {
		return dataErrorf("Unable to parse Amazon S3 file: %s. Data files must conform to JSONL format. s3://%s/%s, %s", path.Base(at.key), at.bucket, at.key, where)
	}
	return dataErrorf("Input data at %s must follow '%s' format. s3://%s/%s, %s", at.key, kind.Form(), at.bucket, at.key, where)
}

// dropData empties the scratch; it goes with the sandbox in any case.
func (r *run) dropData(context.Context) error {
	if r.box == nil {
		return nil
	}
	err := r.box.Scratch().RemoveAll(inScratch(engine.DataPath))
	// What the engine made its own goes with the sandbox, as the next undo or release.
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrClosed) || errors.Is(err, os.ErrPermission) {
		return nil
	}
	return err
}
