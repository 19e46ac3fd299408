package bedrock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"example.com/cloister"
	"example.com/cloister/internal/basemodel"
	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/envelope"
	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/policy"
	"example.com/cloister/internal/runner"
)

// The names of the steps, as logs and event streams say them.
const (
	stepAssumeRole    = "assume-role"
	stepUseKey        = "use-key"
	stepAttachNetwork = "attach-network"
	stepMountScratch  = "mount-scratch"
	stepStageData     = "stage-data"
	stepTrain         = "train"
	stepSealArtifact  = "seal-artifact"
	stepWriteOutput   = "write-output"
	stepRegisterModel = "register-model"
)

// steps is the whole customization job. On failure or stop, undo runs backwards over what was begun; on
// success, release runs backwards over what is held. A killed job begins anew, until its artifact is
// sealed: from then on only what follows is repeated, with role and key taken up again.
func steps() []runner.Step[*run] {
	do := func(method func(*run, context.Context) error) func(context.Context, *run) error {
		return func(ctx context.Context, r *run) error { return method(r, ctx) }
	}
	guard := func(method func(*run, context.Context) error) func(context.Context, *run) error {
		return func(ctx context.Context, r *run) error {
			ctx, done := r.guarded(ctx)
			defer done()
			return r.lost(method(r, ctx))
		}
	}
	return []runner.Step[*run]{
		{Name: stepAssumeRole, Do: do((*run).assumeRole), Release: do((*run).dropSession), Undo: do((*run).dropSession)},
		{Name: stepUseKey, Do: do((*run).useKey), Release: do((*run).forgetKey), Undo: do((*run).destroyKey)},
		{Name: stepAttachNetwork, Do: do((*run).attachNetwork), Release: do((*run).detachNetwork), Undo: do((*run).detachNetwork)},
		{Name: stepMountScratch, Do: guard((*run).mountScratch), Release: do((*run).unmountScratch), Undo: do((*run).unmountScratch), SkipAfter: stepSealArtifact},
		{Name: stepStageData, Do: guard((*run).stageData), Release: do((*run).dropData), Undo: do((*run).dropData), SkipAfter: stepSealArtifact},
		{Name: stepTrain, Do: guard((*run).train), Stopped: do((*run).keepStepMetrics), SkipAfter: stepSealArtifact},
		{Name: stepSealArtifact, Do: guard((*run).sealArtifact), Undo: do((*run).dropArtifact), SkipAfter: stepSealArtifact},
		{Name: stepWriteOutput, Do: guard((*run).writeOutput), Undo: do((*run).deleteOutput), SkipAfter: stepWriteOutput},
		{Name: stepRegisterModel, Do: do((*run).registerModel), SkipAfter: stepRegisterModel},
	}
}

// run is what a job keeps in memory while it runs.
type run struct {
	s       *Service
	job     Job
	session cloister.Principal
	key     *envelope.DataKey
	box     executor.Sandbox
	network *Attachment      // nil without a VPC
	records int              // of the training data
	files   map[string]int64 // what the engine left, by name
}

// open loads a job for the runner.
func (s *Service) open(ctx context.Context, id string) (*run, error) {
	job, err := s.Store.JobByID(ctx, id)
	if err != nil {
		return nil, err
	}
	return &run{s: s, job: job}, nil
}

// change updates the job's row and its copy in memory.
func (r *run) change(ctx context.Context, change func(*Job)) error {
	return r.s.Store.UpdateJob(ctx, r.job.ID, func(j *Job) error {
		change(j)
		r.job = *j
		return nil
	})
}

// assumeRole opens the session of the customer's role. A job that was stopped while it waited ends here.
func (r *run) assumeRole(ctx context.Context) error {
	if r.job.Status == Stopping {
		return runner.ErrStopped
	}
	var err error
	if r.session, err = r.s.Roles.JobSession(ctx, r.job.RoleARN, ServicePrincipal, r.job.ARN); err != nil {
		return mendable(err)
	}
	notes, err := r.notEnforced(ctx)
	if err != nil {
		return err
	}
	return r.change(ctx, func(j *Job) {
		j.Modified = r.s.Now()
		j.Record.NotEnforced = notes
	})
}

// notEnforced names the customer's policies that this version stores and does not evaluate.
func (r *run) notEnforced(ctx context.Context) ([]string, error) {
	notes, err := r.s.Roles.Unevaluated(ctx, r.job.RoleARN)
	if err != nil {
		return nil, err
	}
	for i, name := range notes {
		notes[i] = "inline policy " + name + " of the role is stored and not evaluated"
	}
	if r.job.KeyARN == "" {
		return notes, nil
	}
	root := cloister.WithCall(ctx, cloister.Call{Principal: cloister.RootPrincipal(r.s.Account), Region: r.job.Region, Secure: true})
	out, err := r.s.Keys.GetKeyPolicy(root, &kms.GetKeyPolicyInput{KeyId: &r.job.KeyARN})
	if err != nil {
		return notes, nil //nolint:nilerr // the next step finds out what is wrong with the key
	}
	if aws.ToString(out.Policy) != policy.DefaultKeyPolicy(string(r.s.Account)) {
		notes = append(notes, "the key policy of "+r.job.KeyARN+" is stored and not evaluated: grants and the account root decide")
	}
	return notes, nil
}

func (r *run) dropSession(context.Context) error {
	r.session = cloister.Principal{}
	return nil
}

// useKey opens the model's data key: with a customer's key through the grant made at creation, as its
// grantee.
func (r *run) useKey(ctx context.Context) error {
	if r.job.WrappedKey == nil {
		return dataErrorf("Interrupted: the server stopped while it cleaned up after a failure of this job, whose key is destroyed already. Create the job again under another name.")
	}
	raw, err := r.s.openKey(ctx, r.job.Region, r.job.KeyARN, r.job.ModelARN, r.job.WrappedKey)
	if err != nil {
		if cloister.Code(err) != "" {
			return dataErrorf("The KMS key %s cannot be used for this job: %s", r.job.KeyARN, cloister.Message(err))
		}
		return err
	}
	defer clear(raw)
	key, err := envelope.ParseDataKey(raw)
	if err != nil {
		return err
	}
	r.key = &key
	return nil
}

func (r *run) forgetKey(context.Context) error {
	if r.key != nil {
		r.key.Zero()
		r.key = nil
	}
	return nil
}

// destroyKey is for a job that ends without a model: its data key and its grant end too.
func (r *run) destroyKey(ctx context.Context) error {
	return errors.Join(r.forgetKey(ctx), r.s.dropKey(ctx, r.job))
}

// mountScratch verifies the base model and makes the sandbox, in which nothing runs yet.
func (r *run) mountScratch(ctx context.Context) error {
	if err := r.s.Bases.Verify(ctx, r.job.UsedBase); err != nil {
		if errors.Is(err, basemodel.ErrNotInstalled) || errors.Is(err, basemodel.ErrDamaged) {
			return dataErrorf("The base model %s cannot be used: %v", r.job.UsedBase, err)
		}
		return err
	}
	box, err := r.s.sandbox(ctx, r.job.ID, r.job.UsedBase, r.network)
	if err != nil {
		return err
	}
	r.box = box
	report := r.s.Executor.Report()
	return r.change(ctx, func(j *Job) { j.Record.Isolation = &report })
}

// sandbox makes a sandbox in which the engine can work on a base model.
// One with a network also has this program, which reads and writes objects through the VPC's endpoint.
func (s *Service) sandbox(ctx context.Context, id, baseID string, network *Attachment) (executor.Sandbox, error) {
	mounts, err := s.Engine.Mounts()
	if err != nil {
		return nil, dataErrorf("The training engine is not ready: %v", err)
	}
	mounts = append(mounts, executor.Mount{Source: s.Bases.Dir(baseID), Target: engine.BasePath})
	spec := executor.Spec{ID: id, Mounts: mounts, Limits: s.Limits}
	if network != nil {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		spec.Network, spec.Mounts = network.Interface, append(spec.Mounts, stageMount(self))
	}
	box, err := s.Executor.Create(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("make the sandbox: %w", err)
	}
	return box, nil
}

func (r *run) unmountScratch(ctx context.Context) error {
	if r.box == nil { // another process's sandbox died with it
		return nil
	}
	if err := r.box.Destroy(ctx); err != nil {
		return err
	}
	r.box = nil
	return nil
}

// registerModel makes the model appear and completes the job, in one transaction.
func (r *run) registerModel(ctx context.Context) error {
	now := r.s.Now()
	model := Model{
		ARN: r.job.ModelARN, Account: r.job.Account, Region: r.job.Region, Name: r.job.ModelName, JobID: r.job.ID, JobARN: r.job.ARN,
		JobName: r.job.Name, Type: r.job.Type, AskedBase: r.job.AskedBase, UsedBase: r.job.UsedBase, Method: r.job.Training.Method,
		KeyARN: r.job.KeyARN, GrantID: r.job.GrantID, WrappedKey: r.job.WrappedKey, Created: now,
	}
	var job Job
	err := r.s.Store.RegisterModel(ctx, model, func(j *Job) error {
		if j.Status == Completed {
			job = *j
			return nil
		}
		next, err := j.Status.move(Completed)
		if err != nil {
			return err
		}
		j.Status, j.Modified, j.Ended = next, now, now
		job = *j
		return nil
	})
	if err != nil {
		return err
	}
	r.job = job
	r.s.bell.ring(r.job.ID)
	return nil
}

// finish makes the outcome of a job durable.
func (s *Service) finish(ctx context.Context, id string, r *run, outcome runner.Outcome) error {
	if outcome.Err != nil && !r.job.Status.Terminal() {
		if err := s.dropKey(ctx, r.job); err != nil { // the step may never have begun; the next start tries again
			s.Log.ErrorContext(ctx, "cannot destroy the key of a job that has ended", slog.String("job", id), slog.Any("error", err))
		}
	}
	err := s.Store.FinishJob(ctx, id, func(j *Job) error {
		if j.Status.Terminal() {
			return nil
		}
		to, message := Failed, ""
		switch {
		case outcome.Err == nil:
			to = Completed
		case errors.Is(outcome.Err, runner.ErrStopped) && j.Status == Stopping:
			to = Stopped
		default:
			message = s.failureMessage(ctx, *j, outcome.Err)
		}
		next, err := j.Status.move(to)
		if err != nil {
			return err
		}
		now := s.Now()
		j.Status, j.FailureMessage, j.Modified, j.Ended = next, message, now, now
		return nil
	})
	s.bell.ring(id)
	return err
}

// maxFailureMessage is the API's bound, in characters.
const maxFailureMessage = 2048

// failureMessage is what the customer reads. A failure that is not the customer's to mend shows nothing of
// itself; the log has it, under the job's id.
func (s *Service) failureMessage(ctx context.Context, job Job, err error) string {
	var data *dataError
	switch {
	case errors.As(err, &data):
		if text := []rune(data.text); len(text) > maxFailureMessage {
			return string(text[:maxFailureMessage])
		}
		return data.text
	case errors.Is(err, runner.ErrInterrupted):
		return "Interrupted: the server stopped too often during this job. Create it again under another name."
	}
	s.Log.ErrorContext(ctx, "job failed", slog.String("job", job.ID), slog.Any("error", err))
	if errors.Is(err, blob.ErrFull) {
		return "The server's disk is full: free space below its data directory, and create the job again under another name."
	}
	return "Encountered an unexpected error when processing the request, please try again (the server's log has the cause, under job " + job.ID + ")"
}

// mendable turns refusals that the customer can mend into failures that say so.
func mendable(err error) error {
	if cloister.Code(err) == "AccessDenied" {
		return &dataError{cloister.Message(err)}
	}
	return err
}
