package engine

// Event is what the engine reports: *Preflight, *Started, *Step, *Evaluation, *Heartbeat, *Progress,
// *Measured, *Imported, *Completed, *Stopped or *Failed. A run ends with one of the last three, or with
// none if the process was killed.
type Event interface {
	// Head returns the members that every event has.
	Head() Header
	// Kind is the type's name on the wire, such as "step".
	Kind() string
	check() error
}

// Header begins every event.
type Header struct {
	Type string  `json:"type"`
	Seq  int64   `json:"seq"` // from 1, without gaps
	Time float64 `json:"ts"`  // Unix seconds by the engine's clock
}

// Head returns h.
func (h Header) Head() Header { return h }

// Kind returns h.Type.
func (h Header) Kind() string { return h.Type }

// Preflight counts one data file before the first step.
type Preflight struct {
	Header
	File        string `json:"file"` // "train" or "validation-N"
	Records     int64  `json:"records"`
	Rows        int64  `json:"rows"`         // records that are used
	Tokens      int64  `json:"tokens"`       // of the rows
	LabelTokens int64  `json:"label_tokens"` // tokens that count towards the loss
	Truncated   int64  `json:"truncated"`    // always 0: longer records are dropped whole
	Dropped     int64  `json:"dropped"`      // longer than max_length, or without a token to learn
	Duplicates  int64  `json:"duplicates"`   // equal to an earlier record
	LengthP50   int64  `json:"length_p50"`   // tokens of the median row
	LengthP95   int64  `json:"length_p95"`
	LengthMax   int64  `json:"length_max"`
	Steps       int64  `json:"steps"` // optimizer steps of the whole job; 0 for validation files
}

// Started says that everything is loaded and the first step begins.
type Started struct {
	Header
	MaxSteps      int64             `json:"max_steps"`
	StepsPerEpoch int64             `json:"steps_per_epoch"`
	MicroBatch    int64             `json:"micro_batch"`
	Parameters    int64             `json:"parameters"`
	Trainable     int64             `json:"trainable"`
	Seed          int64             `json:"seed"`
	Threads       int64             `json:"threads"`
	SetupSeconds  float64           `json:"setup_s"`
	Versions      map[string]string `json:"versions"` // of the libraries
}

// Step is one optimizer step.
type Step struct {
	Header
	Step            int64   `json:"step"` // from 0
	MaxSteps        int64   `json:"max_steps"`
	Epoch           int64   `json:"epoch"` // from 0
	Loss            float64 `json:"loss"`  // mean over the step's label tokens, before the step
	LearningRate    float64 `json:"lr"`
	GradNorm        float64 `json:"grad_norm"`
	TokensTotal     int64   `json:"tokens_total"` // trained since the start
	TokensPerSecond float64 `json:"tok_s"`
	ETASeconds      float64 `json:"eta_s"`
	PeakRSSMiB      int64   `json:"rss_peak_mb"`
}

// Evaluation is the validation loss at the end of an epoch.
type Evaluation struct {
	Header
	Step        int64      `json:"step"` // the last step taken
	Epoch       int64      `json:"epoch"`
	Loss        float64    `json:"loss"` // mean over the label tokens of all files
	LabelTokens int64      `json:"label_tokens"`
	Files       []FileLoss `json:"files"` // in the order of the specification
	Seconds     float64    `json:"seconds"`
}

// FileLoss is the loss of one validation file.
type FileLoss struct {
	Loss        float64 `json:"loss"`
	LabelTokens int64   `json:"label_tokens"`
}

// Heartbeat comes every five seconds.
type Heartbeat struct {
	Header
	PeakRSSMiB int64 `json:"rss_peak_mb"`
}

// Progress counts the prompts that Evaluate has answered.
type Progress struct {
	Header
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
}

// Measured is the result of Evaluate. LabelTokens 0 means that no records were given and Loss means nothing.
type Measured struct {
	Header
	Loss        float64 `json:"loss"`
	LabelTokens int64   `json:"label_tokens"`
	Records     int64   `json:"records"`
	Prompts     int64   `json:"prompts"`
}

// Imported states the facts of a base model that ImportGGUF or MakeTiny wrote.
type Imported struct {
	Header
	Architecture   string   `json:"architecture"`
	Parameters     int64    `json:"parameters"`
	ContextLength  int64    `json:"context_length"`
	Vocabulary     int64    `json:"vocabulary"`
	TemplateSHA256 string   `json:"template_sha256"` // of the chat template
	StopTokens     []string `json:"stop_tokens"`
}

// Completed ends a run that did what it was asked to. The members about training are 0 for other commands.
type Completed struct {
	Header
	Steps      int64            `json:"steps"`
	Trainable  int64            `json:"trainable"`
	LossLast   float64          `json:"loss_last"`
	LossMean   float64          `json:"loss_mean"`
	Files      map[string]int64 `json:"files"` // written to the output: name to bytes
	Seconds    float64          `json:"seconds"`
	PeakRSSMiB int64            `json:"rss_peak_mb"`
}

// Stopped ends a run that was asked to stop. No weights are kept.
type Stopped struct {
	Header
	Steps int64 `json:"steps"` // taken before the stop
}

// Failed ends a run that could not do its work.
type Failed struct {
	Header
	Reason  Reason `json:"reason"`
	Message string `json:"message"` // the engine's wording, without content of the data
	File    string `json:"file"`    // "train", "validation-N", "prompts", "records", or empty
	Line    int64  `json:"line"`    // from 1; 0 if no line is at fault
}
