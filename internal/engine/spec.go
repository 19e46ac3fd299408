package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Tasks of Train, Check and Evaluate.
const (
	FineTuning  = "fine-tuning"            // {"prompt","completion"} records
	PreTraining = "continued-pre-training" // {"input"} records
)

// Methods of Train.
const (
	Full = "full" // every weight is trained
	LoRA = "lora" // low-rank adapters on all linear layers, alpha = 2 × rank
)

// MaxValidationFiles is Bedrock's limit of validators in one job.
const MaxValidationFiles = 10

// maxSpecBytes bounds a specification; the largest real one has some two kilobytes.
const maxSpecBytes = 1 << 20

// Spec is one command's specification: *Train, *Check, *Evaluate, *ImportGGUF or *MakeTiny.
type Spec interface {
	// Command is the engine's subcommand.
	Command() string
	validate() error
}

// Train customizes a base model. All paths are absolute, inside the sandbox.
type Train struct {
	Base            string   `json:"base"`
	TrainFile       string   `json:"train_file"`
	ValidationFiles []string `json:"validation_files,omitempty"` // at most MaxValidationFiles
	Output          string   `json:"output"`
	Task            string   `json:"task"`
	Method          string   `json:"method"`
	LoRARank        int      `json:"lora_rank,omitempty"` // 1 to 256; 0 means 16
	Epochs          int      `json:"epochs"`              // 1 to 1000
	BatchSize       int      `json:"batch_size"`          // records per optimizer step, 1 to 65536
	LearningRate    float64  `json:"learning_rate"`       // as used: LoRA's scale has been applied
	WarmupSteps     int      `json:"warmup_steps"`
	MaxLength       int      `json:"max_length"` // tokens, from 16; longer records are dropped and counted
	Seed            int64    `json:"seed"`       // 0 to 2³²-1
	Threads         int      `json:"threads"`    // 1 to 1024
}

// Check reads and counts data as Train would, and trains nothing.
type Check struct {
	Base            string   `json:"base"`
	TrainFile       string   `json:"train_file"`
	ValidationFiles []string `json:"validation_files,omitempty"`
	Task            string   `json:"task"`
	Epochs          int      `json:"epochs"`
	BatchSize       int      `json:"batch_size"`
	MaxLength       int      `json:"max_length"`
	Threads         int      `json:"threads"`
}

// Evaluate answers prompts greedily and measures the token-mean loss of records, for a base model alone,
// with an adapter, or for a full model in its place.
type Evaluate struct {
	Base         string `json:"base"`
	Adapter      string `json:"adapter,omitempty"`      // excludes Model
	Model        string `json:"model,omitempty"`        // excludes Adapter
	PromptsFile  string `json:"prompts_file,omitempty"` // JSONL of {"prompt"}; goes with Output
	Output       string `json:"output,omitempty"`       // receives one Answer per line, in the order of the prompts
	RecordsFile  string `json:"records_file,omitempty"` // JSONL of the task's records
	Task         string `json:"task,omitempty"`         // of RecordsFile; empty means FineTuning
	MaxNewTokens int    `json:"max_new_tokens,omitempty"`
	BatchSize    int    `json:"batch_size,omitempty"`
	MaxLength    int    `json:"max_length,omitempty"`
	Threads      int    `json:"threads"`
}

// Answer is one line of the file that Evaluate writes.
type Answer struct {
	Index  int    `json:"index"`  // of the prompt, from 0
	Text   string `json:"text"`   // without special tokens, not trimmed
	Tokens int    `json:"tokens"` // generated before the end token
	Ended  bool   `json:"ended"`  // the model ended its answer; false means that max_new_tokens did
}

// ImportGGUF converts a GGUF file to safetensors, tokenizer and configuration.
type ImportGGUF struct {
	GGUF    string `json:"gguf"`
	Output  string `json:"output"`
	Threads int    `json:"threads"`
}

// MakeTiny generates the test model cloister.tiny-v1:0.
type MakeTiny struct {
	Output  string `json:"output"`
	Threads int    `json:"threads"`
}

// Command returns "train".
func (*Train) Command() string { return "train" }

// Command returns "check".
func (*Check) Command() string { return "check" }

// Command returns "evaluate".
func (*Evaluate) Command() string { return "evaluate" }

// Command returns "import-gguf".
func (*ImportGGUF) Command() string { return "import-gguf" }

// Command returns "make-tiny".
func (*MakeTiny) Command() string { return "make-tiny" }

// EncodeSpec validates spec and encodes it as the engine reads it.
func EncodeSpec(spec Spec) ([]byte, error) {
	if err := spec.validate(); err != nil {
		return nil, fmt.Errorf("engine specification: %w", err)
	}
	head := struct {
		Version int    `json:"version"`
		Command string `json:"command"`
	}{Version, spec.Command()}
	start, err := json.Marshal(head)
	if err != nil {
		return nil, fmt.Errorf("encode engine specification: %w", err)
	}
	rest, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("encode engine specification: %w", err)
	}
	return slices.Concat(start[:len(start)-1], []byte{','}, rest[1:], []byte{'\n'}), nil
}

// DecodeSpec reads a specification strictly: unknown members, another version and values out of range are
// refused. Fake engines in tests use it, so that they are as strict as the real one.
func DecodeSpec(data []byte) (Spec, error) {
	if len(data) > maxSpecBytes {
		return nil, errors.New("engine specification: larger than 1 MiB")
	}
	var head struct {
		Version int    `json:"version"`
		Command string `json:"command"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("engine specification: %w", err)
	}
	if head.Version != Version {
		return nil, fmt.Errorf("engine specification: version %d, want %d", head.Version, Version)
	}
	switch head.Command {
	case "train":
		return decodeSpec[Train](data)
	case "check":
		return decodeSpec[Check](data)
	case "evaluate":
		return decodeSpec[Evaluate](data)
	case "import-gguf":
		return decodeSpec[ImportGGUF](data)
	case "make-tiny":
		return decodeSpec[MakeTiny](data)
	default:
		return nil, fmt.Errorf("engine specification: unknown command %q", head.Command)
	}
}

func decodeSpec[T any, P interface {
	*T
	Spec
}](data []byte,
) (Spec, error) {
	spec := P(new(T))
	// Two passes, since the head and the body are one object: each member must belong to one of them.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, fmt.Errorf("engine specification: %w", err)
	}
	delete(members, "version")
	delete(members, "command")
	body, err := json.Marshal(members)
	if err != nil {
		return nil, fmt.Errorf("engine specification: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(spec); err != nil {
		return nil, fmt.Errorf("engine specification: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("engine specification: more than one value")
	}
	if err := spec.validate(); err != nil {
		return nil, fmt.Errorf("engine specification: %w", err)
	}
	return spec, nil
}

func (s *Train) validate() error {
	return errors.Join(
		paths(append([]string{s.Base, s.TrainFile, s.Output}, s.ValidationFiles...)...),
		oneOf("task", s.Task, FineTuning, PreTraining),
		oneOf("method", s.Method, Full, LoRA),
		between("validation files", len(s.ValidationFiles), 0, MaxValidationFiles),
		between("lora_rank", s.LoRARank, 0, 256),
		between("epochs", s.Epochs, 1, 1000),
		between("batch_size", s.BatchSize, 1, 65_536),
		rate(s.LearningRate),
		between("warmup_steps", s.WarmupSteps, 0, 1_000_000),
		between("max_length", s.MaxLength, 16, 1<<20),
		between("seed", s.Seed, 0, math.MaxUint32),
		between("threads", s.Threads, 1, 1024),
	)
}

func (s *Check) validate() error {
	return errors.Join(
		paths(append([]string{s.Base, s.TrainFile}, s.ValidationFiles...)...),
		oneOf("task", s.Task, FineTuning, PreTraining),
		between("validation files", len(s.ValidationFiles), 0, MaxValidationFiles),
		between("epochs", s.Epochs, 1, 1000),
		between("batch_size", s.BatchSize, 1, 65_536),
		between("max_length", s.MaxLength, 16, 1<<20),
		between("threads", s.Threads, 1, 1024),
	)
}

func (s *Evaluate) validate() error {
	var errs []error
	for _, path := range []string{s.Adapter, s.Model, s.PromptsFile, s.Output, s.RecordsFile} {
		if path != "" {
			errs = append(errs, paths(path))
		}
	}
	if s.Adapter != "" && s.Model != "" {
		errs = append(errs, errors.New("adapter and model exclude each other"))
	}
	if s.PromptsFile == "" && s.RecordsFile == "" {
		errs = append(errs, errors.New("prompts_file, records_file or both are needed"))
	}
	if (s.PromptsFile == "") != (s.Output == "") {
		errs = append(errs, errors.New("output goes with prompts_file"))
	}
	if s.Task != "" {
		errs = append(errs, oneOf("task", s.Task, FineTuning, PreTraining))
	}
	if s.MaxLength != 0 {
		errs = append(errs, between("max_length", s.MaxLength, 16, 1<<20))
	}
	return errors.Join(append(errs,
		paths(s.Base),
		between("max_new_tokens", s.MaxNewTokens, 0, 8192),
		between("batch_size", s.BatchSize, 0, 1024),
		between("threads", s.Threads, 1, 1024))...)
}

func (s *ImportGGUF) validate() error {
	return errors.Join(paths(s.GGUF, s.Output), between("threads", s.Threads, 1, 1024))
}

func (s *MakeTiny) validate() error {
	return errors.Join(paths(s.Output), between("threads", s.Threads, 1, 1024))
}

func paths(list ...string) error {
	for _, path := range list {
		if !strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0) {
			return fmt.Errorf("%q is not an absolute path", path)
		}
	}
	return nil
}

func oneOf(name, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s must be one of %s", name, strings.Join(allowed, ", "))
}

func between[N int | int64](name string, value, low, high N) error {
	if value >= low && value <= high {
		return nil
	}
	return fmt.Errorf("%s must be between %d and %d", name, low, high)
}

func rate(value float64) error {
	if value >= 0 && value <= 100 { // false for NaN too
		return nil
	}
	return errors.New("learning_rate must be between 0 and 100")
}
