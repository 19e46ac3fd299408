package bedrock

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"

	"example.com/cloister"
	"example.com/cloister/internal/dataset"
	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/stage"
)

// JobNetwork is what a job asks of its network.
type JobNetwork struct {
	JobID, JobARN   string
	Account         cloister.AccountID
	Region          cloister.Region
	Subnets, Groups []string
}

// Attachment is a job's interface in a VPC.
type Attachment struct {
	Interface string `json:"interface"`
	VPC       string `json:"vpc"`
	Subnet    string `json:"subnet"`
	Address   string `json:"address"`
	// EndpointID is the VPC's S3 gateway endpoint; Host its name, Resolver the VPC's resolver as host:port.
	EndpointID      string `json:"endpoint"`
	EndpointAddress string `json:"endpointAddress"`
	ResolverAddress string `json:"resolverAddress"`
	Host            string `json:"-"`
	Resolver        string `json:"-"`
	// CA is what signs the endpoint's certificate, in PEM.
	CA []byte `json:"-"`
	// Lost ends when the isolation can no longer be vouched for; its cause says why.
	Lost context.Context `json:"-"` //nolint:containedctx // it is the attachment's life
}

// checkVPC refuses a vpcConfig that cannot be honoured.
func (s *Service) checkVPC(ctx context.Context, job *Job, config *types.VpcConfig) error {
	if config == nil {
		return nil
	}
	why := s.Executor.Report().NoNetwork
	if why == "" && s.Networks == nil {
		why = "this server has no VPCs"
	}
	if why != "" {
		return cloister.Errorf("ValidationException", "This host cannot attach jobs to a VPC, and a job that asks for one is not run without: %s ('cloister doctor' says what to change)", why)
	}
	if len(config.SubnetIds) == 0 || len(config.SecurityGroupIds) == 0 {
		return cloister.Errorf("ValidationException", "vpcConfig needs at least one of subnetIds and one of securityGroupIds.")
	}
	job.Subnets, job.Groups = config.SubnetIds, config.SecurityGroupIds
	return s.Networks.Check(ctx, job.Region, job.Subnets, job.Groups)
}

// vpcConfig is absent for a job without a VPC.
func vpcConfig(job Job) *types.VpcConfig {
	if len(job.Subnets) == 0 {
		return nil
	}
	return &types.VpcConfig{SubnetIds: job.Subnets, SecurityGroupIds: job.Groups}
}

// attachNetwork gives the job its interface, canary included. A job without vpcConfig has no network at all.
func (r *run) attachNetwork(ctx context.Context) error {
	if len(r.job.Subnets) == 0 {
		return r.change(ctx, func(j *Job) { j.Record.Network = "none: the sandbox has no network interface but its own loopback" })
	}
	if r.s.Networks == nil {
		return dataErrorf("IsolationUnavailable: this server has no VPCs any more")
	}
	at, err := r.s.Networks.Attach(ctx, JobNetwork{
		JobID: r.job.ID, JobARN: r.job.ARN, Account: r.job.Account, Region: r.job.Region, Subnets: r.job.Subnets, Groups: r.job.Groups,
	})
	if err != nil {
		return dataErrorf("%s", err.Error())
	}
	r.network = &at
	return r.change(ctx, func(j *Job) {
		j.Record.Network = fmt.Sprintf("%s at %s in %s of %s; nothing leads out but the S3 endpoint %s", at.Interface, at.Address, at.Subnet, at.VPC, at.EndpointID)
		j.Record.Attachment = &at
	})
}

// detachNetwork works after a crash too: what an earlier process attached ended with it, and its row goes.
func (r *run) detachNetwork(ctx context.Context) error {
	r.network = nil
	if len(r.job.Subnets) == 0 || r.s.Networks == nil {
		return nil
	}
	return r.s.Networks.Detach(ctx, r.job.ID)
}

// Cut ends the connections of a running job: those that were open before a security group was edited live on, as in AWS, until
// somebody does this. It is authorized as StopModelCustomizationJob.
func (s *Service) Cut(ctx context.Context, identifier string) error {
	job, err := s.findJob(ctx, "StopModelCustomizationJob", identifier)
	if err != nil {
		return err
	}
	if len(job.Subnets) == 0 || s.Networks == nil {
		return cloister.Errorf("ValidationException", "The job %s has no VPC.", job.Name)
	}
	err = s.Networks.Cut(ctx, job.ID)
	if cloister.Code(err) == "ConflictException" {
		return cloister.Errorf("ConflictException", "The job %s has no network interface: it does not run.", job.Name)
	}
	return err
}

// guarded is a context that also ends when the job's isolation is lost.
func (r *run) guarded(ctx context.Context) (context.Context, context.CancelFunc) {
	if r.network == nil || r.network.Lost == nil {
		return ctx, func() {}
	}
	guarded, cancel := context.WithCancelCause(ctx)
	lost := r.network.Lost
	stop := context.AfterFunc(lost, func() { cancel(&dataError{"IsolationLost: " + context.Cause(lost).Error()}) })
	return guarded, func() { stop(); cancel(nil) }
}

// lost turns an error into the loss of isolation that caused it, if one did.
func (r *run) lost(err error) error {
	if err == nil {
		return nil
	}
	if r.network != nil && r.network.Lost != nil && r.network.Lost.Err() != nil {
		return dataErrorf("IsolationLost: %v", context.Cause(r.network.Lost))
	}
	if errors.Is(err, executor.ErrEnded) {
		return dataErrorf("IsolationLost: %v, killed by somebody else or for want of memory on this host: create the job again", executor.ErrEnded)
	}
	if errors.Is(err, executor.ErrGone) {
		return dataErrorf("IsolationLost: %v: restart the server, and create the job again", executor.ErrGone)
	}
	return err
}

// sessionLife bounds the temporary keys of a process in the VPC.
const sessionLife = 12 * time.Hour // a role's longest session

// inVPC runs `cloister stage` in the job's sandbox.
func (r *run) inVPC(ctx context.Context, plan stage.Plan) (stage.Result, error) {
	keys := r.s.Roles.JobKeys(r.session, sessionLife)
	defer keys.End()
	plan.Region, plan.Host, plan.Resolver, plan.CA = string(r.job.Region), r.network.Host, r.network.Resolver, r.network.CA
	plan.AccessKeyID, plan.Secret, plan.Token = keys.ID, keys.Secret.Reveal(), keys.Token.Reveal()
	file, err := plan.File()
	if err != nil {
		return stage.Result{}, err
	}
	defer func() { _ = file.Close() }()
	var out bytes.Buffer
	exit, err := r.box.Run(ctx, executor.Process{Argv: stage.Argv(), Stdout: &out, Control: file})
	switch {
	case err != nil:
		return stage.Result{}, err
	case exit.OverLimit != "":
		return stage.Result{}, dataErrorf("The data does not fit into the job's %s ([sandbox] in cloister.toml).", exit.OverLimit)
	case exit.Code != 0:
		return stage.Result{}, fmt.Errorf("stage ended with status %d", exit.Code)
	}
	return stage.ParseResult(out.Bytes(), plan)
}

// stageInVPC is stageData through the VPC's endpoint.
func (r *run) stageInVPC(ctx context.Context) error {
	var plan stage.Plan
	uris := append([]string{r.job.TrainingURI}, r.job.ValidationURIs...)
	for i, uri := range uris {
		at, err := parseURI(uri)
		if err != nil {
			return err
		}
		target := engine.TrainFile
		if i > 0 {
			target = engine.ValidationFile(i - 1)
		}
		plan.Reads = append(plan.Reads, stage.Read{Bucket: at.bucket, Key: at.key, Target: target, Kind: string(kindOf(r.job.Type)), MaxBytes: r.s.Limits.ScratchBytes / 2})
	}
	output, err := parseURI(r.job.OutputURI)
	if err != nil {
		return err
	}
	plan.Buckets = []string{output.bucket}
	result, err := r.inVPC(ctx, plan)
	if err != nil {
		return err
	}
	for i, read := range result.Reads {
		records, err := r.stagedInVPC(uris[i], read)
		if err != nil {
			return err
		}
		if i == 0 {
			r.records = records
		}
	}
	for _, f := range result.Buckets {
		if f.Failed() {
			return r.s3Failure(f, unwritable(output, f3(f)))
		}
	}
	if len(result.Reads) != len(plan.Reads) || len(result.Buckets) != 1 {
		return errors.New("stage did not do all that it was asked to")
	}
	return nil
}

// f3 is a failure of S3 as an error with its code.
func f3(f stage.Failure) error { return cloister.Errorf(f.Code, "%s", f.Message) }

// s3Failure is what a customer reads of a failure in the VPC: the endpoint's own trouble, or S3's refusal.
func (r *run) s3Failure(f stage.Failure, refusal error) error {
	if f.Code == stage.CodeUnreachable {
		return dataErrorf("S3EndpointUnreachable: %s of %s did not answer the job at %s (%s): see 'cloister jobs flows %s'", r.network.EndpointID, r.network.VPC, r.network.Address, f.Message, r.job.Name)
	}
	return mendable(refusal)
}

// stagedInVPC judges one read, and returns its number of records.
func (r *run) stagedInVPC(uri string, read stage.ReadResult) (int, error) {
	at, err := parseURI(uri)
	if err != nil {
		return 0, err
	}
	switch {
	case read.Changed:
		return 0, changedWhileRead(uri)
	case read.Failed():
		return 0, r.s3Failure(read.Failure, unreadable(at, f3(read.Failure)))
	case read.TooLarge > 0:
		return 0, dataErrorf("The data %s has %d bytes; at most %d fit into the scratch of a job ([sandbox] scratch in cloister.toml).", uri, read.TooLarge, r.s.Limits.ScratchBytes/2)
	case read.Cut:
		return 0, dataErrorf("Could not read %s to its end (%s). The stored object may be damaged: upload it again.", uri, "the data cannot be read")
	}
	var report dataset.Report
	if err := json.Unmarshal(read.Report, &report); err != nil {
		return 0, fmt.Errorf("stage: %w", err)
	}
	if len(report.Problems) > 0 {
		report.Problems[0].NotJSON = read.NotJSON
		return 0, dataProblem(at, kindOf(r.job.Type), report)
	}
	return report.Records, nil
}

// putInVPC writes an object through the VPC's endpoint.
func (r *run) putInVPC(ctx context.Context, at location, text []byte) error {
	result, err := r.inVPC(ctx, stage.Plan{Writes: []stage.Write{{Bucket: at.bucket, Key: at.key, ContentType: "text/csv", Body: text}}})
	if err != nil {
		return err
	}
	if len(result.Writes) != 1 {
		return errors.New("stage wrote nothing")
	}
	if f := result.Writes[0]; f.Failed() {
		return r.s3Failure(f, unwritable(at, f3(f)))
	}
	return nil
}

// stageMount is this program, where a job in a VPC finds it.
func stageMount(self string) executor.Mount {
	return executor.Mount{Source: path.Clean(self), Target: stage.Path}
}
