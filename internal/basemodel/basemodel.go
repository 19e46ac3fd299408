// Package basemodel is the registry of base models on this machine's disk: for each a folder with a
// manifest and the files of a safetensors model. It knows their ids, hyperparameter profiles and hashes;
// it neither downloads nor converts (internal/install does), nor reads weights (the engine does).
//
// What a reader must know: a model is used only after Verify, which holds every file against the manifest
// that was written once, when the model was added, and refuses formats that can carry code.
//
// Ids follow the patterns of Bedrock's model (userguide/model-ids, FoundationModelSummary$modelId), with
// exactly one dot, which the ARN patterns of jobs and custom models demand. Hyperparameters follow
// userguide/cm-hp-titan-text.
package basemodel

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// The base models that this program knows how to make.
const (
	SmolLM2 = "huggingface.smollm2-135m-v1:0"
	Tiny    = "cloister.tiny-v1:0"
)

// ManifestName is the manifest's file within a model's folder.
const ManifestName = "manifest.json"

const (
	manifestVersion  = 1
	maxManifestBytes = 1 << 20
	maxNameChars     = 20 // FoundationModelSummary$modelName: pattern .{1,20}
	maxFiles         = 256
	// fullUpTo is the largest base, in parameters, that is trained in full by default: above it the optimizer's
	// state outgrows a workstation, and LoRA takes over.
	fullUpTo = 500_000_000
)

// Kinds of customization, as Bedrock spells them.
const (
	FineTuning  = "FINE_TUNING"
	PreTraining = "CONTINUED_PRE_TRAINING"
)

// Methods of training.
const (
	MethodFull = "full"
	MethodLoRA = "lora"
)

var idPattern = regexp.MustCompile(`^[a-z0-9-]{1,63}\.[a-z0-9-]{1,63}(:[a-z0-9-]{1,31}){0,2}$`)

// ValidID reports whether id can name a base model: provider.name[:v[:context]], lower case, one dot, at
// most 140 bytes.
func ValidID(id string) bool { return len(id) <= 140 && idPattern.MatchString(id) }

// Manifest describes an installed base model. It is written once, when the model is added.
type Manifest struct {
	Version     int    `json:"version"`
	ID          string `json:"id"`
	Name        string `json:"name"` // at most 20 characters
	Provider    string `json:"provider"`
	Description string `json:"description"`
	Licence     string `json:"licence"` // SPDX
	Source      string `json:"source"`  // where the weights came from, in words

	Architecture   string   `json:"architecture"`
	Parameters     int64    `json:"parameters"`
	ContextLength  int      `json:"contextLength"` // tokens
	Vocabulary     int64    `json:"vocabulary"`
	TemplateSHA256 string   `json:"templateSha256"` // of the chat template in tokenizer
	StopTokens     []string `json:"stopTokens"`

	Profile           string   `json:"profile"`       // name of the hyperparameter profile, see Profiles
	DefaultMethod     string   `json:"defaultMethod"` // MethodFull or MethodLoRA
	LoRAScale         float64  `json:"loraScale"`     // factor of learningRate under LoRA
	MaxSequenceLength int      `json:"maxSequenceLength"`
	Customizations    []string `json:"customizations"`

	Files   []File    `json:"files"`
	Created time.Time `json:"created"`
}

// File is one file of a model.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // hexadecimal
}

// Size is the sum of the model's files in bytes.
func (m Manifest) Size() int64 {
	var total int64
	for _, file := range m.Files {
		total += file.Size
	}
	return total
}

// DefaultMethodFor is the method for a base of that many parameters: full weights up to 500 million.
func DefaultMethodFor(parameters int64) string {
	if parameters > fullUpTo {
		return MethodLoRA
	}
	return MethodFull
}

// ParseManifest reads a manifest strictly.
func ParseManifest(data []byte) (Manifest, error) {
	if len(data) > maxManifestBytes {
		return Manifest{}, errors.New("read manifest: larger than 1 MiB")
	}
	var m Manifest
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return Manifest{}, fmt.Errorf("read manifest: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Manifest{}, errors.New("read manifest: data after the manifest")
	}
	if err := m.validate(); err != nil {
		return Manifest{}, fmt.Errorf("read manifest: %w", err)
	}
	return m, nil
}

func (m Manifest) validate() error {
	if m.Version != manifestVersion {
		return fmt.Errorf("version %d, this program knows %d: add the model again", m.Version, manifestVersion)
	}
	if !ValidID(m.ID) {
		return fmt.Errorf("id %q is not provider.name[:version]", m.ID)
	}
	if n := utf8.RuneCountInString(m.Name); n < 1 || n > maxNameChars {
		return fmt.Errorf("name %q has %d characters, want 1 to %d", m.Name, n, maxNameChars)
	}
	if m.Parameters < 1 || m.ContextLength < minSequenceLength {
		return errors.New("parameters or contextLength is missing")
	}
	if len(m.Files) == 0 || len(m.Files) > maxFiles {
		return fmt.Errorf("%d files, want 1 to %d", len(m.Files), maxFiles)
	}
	seen := map[string]bool{ManifestName: true}
	for _, file := range m.Files {
		if err := checkFileName(file.Name); err != nil {
			return err
		}
		if seen[file.Name] || file.Size < 0 || !sha256Pattern.MatchString(file.SHA256) {
			return fmt.Errorf("file %q is listed twice or without size and hash", file.Name)
		}
		seen[file.Name] = true
	}
	_, err := m.HyperparameterProfile()
	return err
}

var sha256Pattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// checkFileName admits plain names of a safetensors model. It is a list of what may be there: pickles
// (.bin, .pt, .ckpt), Python code and archives are some of what may not.
func checkFileName(name string) error {
	if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return fmt.Errorf("file name %q is not plain", name)
	}
	switch filepath.Ext(name) {
	case ".safetensors", ".json", ".jinja", ".txt":
		return nil
	default:
		return fmt.Errorf("refused: %s is not a file of a safetensors model (pickles and code are never loaded)", name)
	}
}

// DefaultAliases maps the ids that AWS's documents print to the base model that answers for them here. The
// tiny test model is never among the values.
func DefaultAliases() map[string]string {
	aliases := map[string]string{}
	for _, id := range []string{
		"amazon.titan-text-lite-v1", "amazon.titan-text-lite-v1:0:4k",
		"amazon.titan-text-express-v1", "amazon.titan-text-express-v1:0:8k",
		"amazon.nova-micro-v1:0", "amazon.nova-micro-v1:0:128k",
		"meta.llama3-1-8b-instruct-v1:0", "meta.llama3-1-8b-instruct-v1:0:128k",
		"meta.llama3-2-1b-instruct-v1:0", "meta.llama3-2-1b-instruct-v1:0:128k",
		"meta.llama3-3-70b-instruct-v1:0", "meta.llama3-3-70b-instruct-v1:0:128k",
	} {
		aliases[id] = SmolLM2
	}
	return aliases
}
