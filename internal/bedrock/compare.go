package bedrock

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"example.com/cloister"
	"example.com/cloister/internal/basemodel"
	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/envelope"
)

// Limits of a comparison.
const (
	maxPrompts      = 1000
	maxNewTokens    = 1024
	comparisonBatch = 8
	// maxAnswers bounds the answers file, in bytes.
	maxAnswers = 16 << 20
)

// Comparison asks for base and custom model side by side: greedy answers to prompts, and the token-mean
// loss of records of the job's own form. It is given once and kept nowhere.
type Comparison struct {
	Prompts      []string `json:"prompts,omitempty"`
	Records      []string `json:"records,omitempty"` // lines of JSON
	MaxNewTokens int      `json:"maxNewTokens,omitempty"`
}

// Side is what one model did.
type Side struct {
	Answers []string `json:"answers,omitempty"`
	Loss    *float64 `json:"loss,omitempty"`
	Tokens  int64    `json:"labelTokens,omitempty"`
}

// Compared is the answer to a Comparison.
type Compared struct {
	BaseModel   string `json:"baseModel"`
	CustomModel string `json:"customModel"`
	Base        Side   `json:"base"`
	Custom      Side   `json:"custom"`
}

// Compare runs a custom model and its base in one sandbox, one after the other. It is authorized as
// bedrock:InvokeModel on the custom model, and, with a customer's key, needs the caller's kms:Decrypt on it.
func (s *Service) Compare(ctx context.Context, identifier string, c Comparison) (out Compared, err error) {
	model, err := s.findModel(ctx, "InvokeModel", identifier)
	if err != nil {
		return Compared{}, err
	}
	if err := c.check(); err != nil {
		return Compared{}, err
	}
	select {
	case s.comparisons <- struct{}{}:
		defer func() { <-s.comparisons }()
	default:
		return Compared{}, cloister.Errorf("ThrottlingException", "A comparison runs already: try again when it has ended.").WithStatus(429)
	}
	key, err := s.callerKey(ctx, model)
	if err != nil {
		return Compared{}, err
	}
	defer key.Zero()
	if err := s.Bases.Verify(ctx, model.UsedBase); err != nil {
		return Compared{}, cloister.Errorf("ValidationException", "The base model %s cannot be used: %v", model.UsedBase, err)
	}
	box, err := s.sandbox(ctx, "compare-"+newID(), model.UsedBase, nil)
	if err != nil {
		return Compared{}, err
	}
	defer func() { err = errors.Join(err, box.Destroy(context.WithoutCancel(ctx))) }()
	root := box.Scratch()
	if err := s.unseal(ctx, model, key, root, inScratch(engine.ModelPath)); err != nil {
		if _, gone := s.Store.Model(ctx, s.Account, model.Region, model.ARN); errors.Is(gone, ErrNotFound) { // deleted meanwhile
			return Compared{}, cloister.Errorf("ResourceNotFoundException", "The provided model identifier could not be found: %s", identifier)
		}
		return Compared{}, damaged(model, err)
	}
	if err := c.place(root); err != nil {
		return Compared{}, err
	}
	spec := &engine.Evaluate{Base: engine.BasePath, Task: taskOf(model.Type), BatchSize: comparisonBatch, MaxNewTokens: c.MaxNewTokens, Threads: s.Engine.Threads()}
	if len(c.Prompts) > 0 {
		spec.PromptsFile, spec.Output = promptsFile, engine.AnswersFile
	}
	if len(c.Records) > 0 {
		spec.RecordsFile = recordsFile
	}
	out = Compared{BaseModel: model.UsedBase, CustomModel: model.ARN}
	evaluate := func(spec *engine.Evaluate) (Side, error) {
		var side Side
		result, err := s.Engine.Run(ctx, box, spec, func(e engine.Event) error {
			if m, ok := e.(*engine.Measured); ok && spec.RecordsFile != "" {
				side.Loss, side.Tokens = &m.Loss, m.LabelTokens
			}
			return nil
		}, nil)
		if err != nil {
			return Side{}, err
		}
		if err := s.engineFailure(result, "the prompts or records", nil); err != nil {
			return Side{}, asValidation(err)
		}
		if spec.PromptsFile != "" {
			side.Answers, err = answers(root, len(c.Prompts))
		}
		return side, err
	}
	if out.Base, err = evaluate(spec); err != nil {
		return Compared{}, err
	}
	if model.Method == basemodel.MethodLoRA {
		spec.Adapter = engine.ModelPath
	} else {
		spec.Model = engine.ModelPath
	}
	out.Custom, err = evaluate(spec)
	return out, err
}

// damaged says of an artifact that does not open that this is so: nothing was made of it.
func damaged(model Model, err error) error {
	for _, sign := range []error{envelope.ErrFormat, envelope.ErrKey, envelope.ErrAuthentication, fs.ErrInvalid, blob.ErrNotFound} {
		if errors.Is(err, sign) {
			return cloister.Errorf("InternalServerException", "The artifact of the custom model %s is damaged on this server's disk: restore a backup, or delete the model and train it again.", model.Name).
				WithStatus(http.StatusInternalServerError).WithCause(err)
		}
	}
	return err
}

const (
	promptsFile = engine.DataPath + "/prompts.jsonl"
	recordsFile = engine.DataPath + "/records.jsonl"
)

func (c *Comparison) check() error {
	if c.MaxNewTokens == 0 {
		c.MaxNewTokens = 64
	}
	switch {
	case len(c.Prompts) == 0 && len(c.Records) == 0:
		return cloister.Errorf("ValidationException", "Give prompts, records, or both.")
	case len(c.Prompts) > maxPrompts || len(c.Records) > maxPrompts:
		return cloister.Errorf("ValidationException", "At most %d prompts and as many records.", maxPrompts)
	case c.MaxNewTokens < 1 || c.MaxNewTokens > maxNewTokens:
		return cloister.Errorf("ValidationException", "maxNewTokens must be between 1 and %d.", maxNewTokens)
	}
	return nil
}

// place writes prompts and records into the scratch.
func (c *Comparison) place(root *os.Root) error {
	if err := root.MkdirAll(inScratch(engine.DataPath), 0o755); err != nil {
		return err
	}
	// The engine writes its answers there, and this service takes them away again.
	if err := errors.Join(root.MkdirAll(inScratch(engine.OutputPath), 0o755), root.Chmod(inScratch(engine.OutputPath), 0o777)); err != nil {
		return err
	}
	var prompts, records bytes.Buffer
	for _, p := range c.Prompts {
		line, err := json.Marshal(map[string]string{"prompt": p})
		if err != nil {
			return err
		}
		prompts.Write(append(line, '\n'))
	}
	for _, r := range c.Records {
		records.WriteString(r + "\n")
	}
	return errors.Join(root.WriteFile(inScratch(promptsFile), prompts.Bytes(), 0o644), root.WriteFile(inScratch(recordsFile), records.Bytes(), 0o644))
}

// answers reads what the engine wrote and removes it.
func answers(root *os.Root, want int) ([]string, error) {
	name := inScratch(engine.AnswersFile)
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxAnswers {
		return nil, errors.New("the engine's answers are not a plain file of reasonable size")
	}
	text, err := root.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if err := root.Remove(name); err != nil {
		return nil, err
	}
	out := make([]string, 0, want)
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxAnswers)
	for lines.Scan() {
		var a engine.Answer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil || a.Index != len(out) {
			return nil, errors.New("the engine's answers are not in order")
		}
		out = append(out, a.Text)
	}
	if len(out) != want {
		return nil, fmt.Errorf("the engine gave %d answers to %d prompts", len(out), want)
	}
	return out, nil
}

// callerKey opens a model's data key with the caller's own right to the customer's key: whoever may not
// decrypt with it may not use the model.
func (s *Service) callerKey(ctx context.Context, model Model) (*envelope.DataKey, error) {
	var raw []byte
	if model.KeyARN == "" {
		var err error
		if raw, err = s.openKey(ctx, model.Region, "", model.ARN, model.WrappedKey); err != nil {
			return nil, err
		}
	} else {
		out, err := s.Keys.Decrypt(cloister.Via(ctx, "bedrock."+string(model.Region)+".amazonaws.com"), &kms.DecryptInput{
			KeyId: &model.KeyARN, CiphertextBlob: model.WrappedKey, EncryptionContext: keyContext(model.ARN),
		})
		if err != nil {
			return nil, keyError(model.KeyARN, err)
		}
		raw = out.Plaintext
	}
	defer clear(raw)
	key, err := envelope.ParseDataKey(raw)
	return &key, err
}
