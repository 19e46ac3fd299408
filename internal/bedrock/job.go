package bedrock

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"example.com/cloister"
	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/runner"
)

// Job is a model-customization job.
type Job struct {
	ID      string // the last 12 characters of the ARN
	Account cloister.AccountID
	Region  cloister.Region
	Name    string
	ARN     string
	// Principal is who created the job (for the record; the job runs as its role).
	Principal string

	ModelName, ModelARN string
	// Type is FINE_TUNING or CONTINUED_PRE_TRAINING.
	Type string
	// AskedBase is the foundation-model id that was asked for, in its full form; UsedBase is the installed
	// base model that is really trained.
	AskedBase, UsedBase string
	RoleARN             string

	TrainingURI    string
	ValidationURIs []string
	OutputURI      string

	// Subnets and Groups are those of vpcConfig; none is a job without a network.
	Subnets, Groups []string

	// HyperParameters is what answers echo; Training is what they mean.
	HyperParameters map[string]string
	Training        Training

	// KeyARN is the customer's key, or empty; GrantID is the grant made with it.
	KeyARN, GrantID string
	// WrappedKey is the data key of the model's artifact, sealed under the customer's key or the service's own.
	WrappedKey []byte

	// Token is the client's idempotency token, RequestHash a hash of what came with it.
	Token, RequestHash string

	Status                   Status
	FailureMessage           string
	Created, Modified, Ended time.Time

	// TrainingLoss is the mean loss of the last epoch's steps; ValidationLoss has one value per validator.
	TrainingLoss   *float64
	ValidationLoss []float64

	// Record is what `cloister jobs show` adds to AWS's answer.
	Record Record

	// Queued says that the job waits; Position then counts from 1.
	Queued   bool
	Position int
	Attempt  int
}

// Training is the resolved configuration of a run.
type Training struct {
	Method            string  `json:"method"`
	Epochs            int     `json:"epochs"`
	BatchSize         int     `json:"batchSize"`
	LearningRate      float64 `json:"learningRate"`      // as given
	UsedLearningRate  float64 `json:"usedLearningRate"`  // as trained with
	LearningRateScale float64 `json:"learningRateScale"` // 1, or the profile's scale under LoRA
	WarmupSteps       int     `json:"warmupSteps"`
	LoRARank          int     `json:"loraRank,omitempty"`
	MaxSequenceLength int     `json:"maxSequenceLength"`
	Seed              int64   `json:"seed"`
}

// Record is what a job notes about the way it ran.
type Record struct {
	Isolation *executor.Report `json:"isolation,omitempty"`
	Network   string           `json:"network,omitempty"`
	// Attachment is the job's interface, while and after it had one.
	Attachment *Attachment       `json:"attachment,omitempty"`
	Versions   map[string]string `json:"versions,omitempty"`
	// NotEnforced names what the customer has stored and this version does not evaluate.
	NotEnforced []string `json:"notEnforced,omitempty"`
	Preflight   []any    `json:"preflight,omitempty"`
	// CPUSeconds and WallSeconds are the engine process's own; Tokens is what it trained on.
	CPUSeconds  float64 `json:"engineCpuSeconds,omitempty"`
	WallSeconds float64 `json:"engineWallSeconds,omitempty"`
	Tokens      int64   `json:"tokens,omitempty"`
	PeakRSS     int64   `json:"enginePeakRssBytes,omitempty"`
}

// Model is a custom model.
type Model struct {
	ARN     string
	Account cloister.AccountID
	Region  cloister.Region
	Name    string
	JobID   string
	JobARN  string
	JobName string
	Type    string
	// AskedBase and UsedBase are those of the job.
	AskedBase, UsedBase string
	Method              string
	KeyARN, GrantID     string
	WrappedKey          []byte
	// Deleting says that the deletion has begun: the model no longer exists for customers.
	Deleting bool
	Created  time.Time
}

// Artifact is a sealed file of a custom model.
type Artifact struct {
	Path string
	Blob blob.ID
	Size int64 // in the clear
}

// Progress is something the engine reported, as stored and as sent to watchers.
type Progress struct {
	Type string // the engine's event type
	Data json.RawMessage
	At   time.Time
}

// LogEntry is one line of a job's event stream: a step's phase, progress, a change of status, or the end.
type LogEntry struct {
	Seq  int64
	Type string // step, progress, status, done
	At   time.Time
	Data json.RawMessage
}

// JobQuery selects jobs. Zero values do not select.
type JobQuery struct {
	Account       cloister.AccountID
	Region        cloister.Region
	After, Before time.Time
	Status        Status
	NameContains  string
	Ascending     bool
	CursorTime    time.Time // continue after this job
	CursorID      string
	Limit         int
	Foundation    string // models only: the base's foundation-model id
}

// Store keeps jobs, models, their events and tags; it is the runner's queue as well.
type Store interface {
	runner.Store

	// CreateJob stores a job and its tags, and those of its future model, in the queue. It returns
	// ErrJobName, ErrModelName or ErrToken when one is taken, and ErrQueueFull when queueLimit jobs wait.
	CreateJob(ctx context.Context, job Job, tags, modelTags map[string]string, queueLimit int) error
	// JobByToken returns the job that was created with a token, or ErrNotFound.
	JobByToken(ctx context.Context, account cloister.AccountID, region cloister.Region, token string) (Job, error)
	// Job returns a job by its id or name, or ErrNotFound.
	Job(ctx context.Context, account cloister.AccountID, region cloister.Region, idOrName string) (Job, error)
	// JobByID returns a job by its id, or ErrNotFound.
	JobByID(ctx context.Context, id string) (Job, error)
	// Jobs returns up to q.Limit jobs.
	Jobs(ctx context.Context, q JobQuery) ([]Job, error)
	// UpdateJob changes a job in one transaction. A change of status is added to the event stream.
	UpdateJob(ctx context.Context, id string, change func(*Job) error) error
	// StopQueued ends a waiting job as Stopped and reports true, or reports false if a runner has it.
	StopQueued(ctx context.Context, id string, now time.Time) (bool, error)
	// EndedWithKey returns the jobs that have ended without a model and still have their data key.
	EndedWithKey(ctx context.Context) ([]Job, error)
	// FinishJob makes the last change to a job, adds "done" to its events and takes it out of the queue.
	FinishJob(ctx context.Context, id string, change func(*Job) error) error
	// Recover puts the jobs of a process that has died back into the queue.
	Recover(ctx context.Context) error

	// StepLogs returns the step logs of jobs.
	StepLogs(ctx context.Context, ids []string) (map[string][]runner.Event, error)
	// AddProgress adds what the engine reported.
	AddProgress(ctx context.Context, id string, progress []Progress) error
	// DropProgress forgets what an earlier attempt's engine reported.
	DropProgress(ctx context.Context, id string) error
	// Progress returns what the engine reported, of one type.
	Progress(ctx context.Context, id, kind string) ([]Progress, error)
	// LastProgress returns the latest report of one type, or ErrNotFound.
	LastProgress(ctx context.Context, id, kind string) (Progress, error)
	// Events returns up to limit entries of a job's event stream after a sequence number.
	Events(ctx context.Context, id string, after int64, limit int) ([]LogEntry, error)

	// AddArtifact records a sealed file of a model to be.
	AddArtifact(ctx context.Context, modelARN string, a Artifact) error
	// Artifacts returns the sealed files of a model, in order of path.
	Artifacts(ctx context.Context, modelARN string) ([]Artifact, error)
	// DropArtifacts forgets the sealed files of a model.
	DropArtifacts(ctx context.Context, modelARN string) error
	// ArtifactBlobs returns every blob that is recorded.
	ArtifactBlobs(ctx context.Context) (map[blob.ID]bool, error)

	// RegisterModel stores a model and completes its job in one transaction. It is idempotent.
	RegisterModel(ctx context.Context, model Model, complete func(*Job) error) error
	// Model returns a model by its ARN or name, or ErrNotFound.
	Model(ctx context.Context, account cloister.AccountID, region cloister.Region, arnOrName string) (Model, error)
	// Models returns up to q.Limit models.
	Models(ctx context.Context, q JobQuery) ([]Model, error)
	// Scrub removes what was deleted from the database's log.
	Scrub(ctx context.Context) error
	// BeginDelete destroys a model's data key and hides the model, or returns ErrNotFound.
	BeginDelete(ctx context.Context, arn string) error
	// FinishDelete forgets a model, its artifacts and tags.
	FinishDelete(ctx context.Context, arn string) error
	// Deleting returns the models whose deletion was begun.
	Deleting(ctx context.Context) ([]Model, error)

	// Tags returns a resource's tags.
	Tags(ctx context.Context, arn string) (map[string]string, error)
	// ChangeTags sets and removes tags, or returns ErrTags when more than limit would result.
	ChangeTags(ctx context.Context, arn string, set map[string]string, remove []string, limit int) error
}

// What a Store answers.
var (
	ErrNotFound  = errors.New("not found")
	ErrJobName   = errors.New("job name taken")
	ErrModelName = errors.New("model name taken")
	ErrToken     = errors.New("token used")
	ErrQueueFull = errors.New("queue full")
	ErrTags      = errors.New("too many tags")
)
