package basemodel

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Keys of Titan's hyperparameters and of Cloister's extensions.
const (
	KeyEpochCount        = "epochCount"
	KeyBatchSize         = "batchSize"
	KeyLearningRate      = "learningRate"
	KeyWarmupSteps       = "learningRateWarmupSteps"
	KeyMethod            = "cloister.method"
	KeyLoRARank          = "cloister.loraRank"
	KeyMaxSequenceLength = "cloister.maxSequenceLength"
	KeySeed              = "cloister.seed"
)

// Names of the hyperparameter profiles.
const (
	TitanTextLite    = "titan-text-lite"
	TitanTextExpress = "titan-text-express"
)

const (
	defaultLoRARank   = 16
	minSequenceLength = 16
	// DefaultSequenceLength is the longest record in tokens, unless the job or the base says otherwise.
	DefaultSequenceLength = 1024
	// DefaultLoRAScale multiplies learningRate under LoRA: AWS's ranges are rates of full tuning, at which LoRA
	// learns nothing (measured: 0 of 120 at 1e-5).
	DefaultLoRAScale = 20
)

// Profile is a set of hyperparameters, their ranges and defaults, for one base model.
type Profile struct {
	// Name is the profile's name, such as TitanTextLite.
	Name string

	epochs, batch, warmup bounds
	rateHigh              float64
	rateDefault           string

	method            string
	loraScale         float64
	maxSequenceLength int
	contextLength     int
}

type bounds struct{ low, high, standard int64 }

// Resolved is a complete set of hyperparameters.
type Resolved struct {
	// Echo is what the API answers: what was sent, as it was sent, with the profile's defaults filled in.
	// Extensions are in it only when they were sent.
	Echo map[string]string

	Epochs, BatchSize, WarmupSteps int
	// LearningRate is as sent; EffectiveLearningRate is what the engine gets: × the profile's scale under LoRA.
	LearningRate, EffectiveLearningRate float64

	Method                      string // MethodFull or MethodLoRA
	LoRARank, MaxSequenceLength int
	Seed                        int64 // 0 to 2³²-1
}

// HyperparameterError says which hyperparameter is wrong. Its text is meant for the caller.
type HyperparameterError struct {
	Key, Value, Want string
}

// Error names key, value and range.
func (e *HyperparameterError) Error() string {
	const most = 64 // characters of the caller's own value that come back
	value := e.Value
	if runes := []rune(value); len(runes) > most {
		value = string(runes[:most]) + "…"
	}
	return fmt.Sprintf("hyperparameter %s: %q is not valid: %s", e.Key, value, e.Want)
}

// HyperparameterProfile returns the profile of the model.
func (m Manifest) HyperparameterProfile() (Profile, error) {
	p := Profile{
		Name: m.Profile, method: m.DefaultMethod, loraScale: m.LoRAScale,
		maxSequenceLength: m.MaxSequenceLength, contextLength: m.ContextLength,
	}
	switch m.Profile {
	case TitanTextLite, TitanTextExpress: // userguide/cm-hp-titan-text has one table for both
		p.epochs, p.batch, p.warmup = bounds{1, 10, 5}, bounds{1, 64, 1}, bounds{0, 250, 5}
		p.rateHigh, p.rateDefault = 1, "0.00001"
	default:
		return Profile{}, fmt.Errorf("profile %q is unknown", m.Profile)
	}
	if p.method != MethodFull && p.method != MethodLoRA {
		return Profile{}, fmt.Errorf("defaultMethod %q is unknown", p.method)
	}
	if !(p.loraScale > 0 && p.loraScale <= 1000) || p.maxSequenceLength < minSequenceLength ||
		p.maxSequenceLength > p.contextLength {
		return Profile{}, errors.New("loraScale or maxSequenceLength is out of range")
	}
	return p, nil
}

// Resolve checks what a caller sent and fills in the rest. The error joins one *HyperparameterError for
// each violation, by key. given is not changed.
func (p Profile) Resolve(given map[string]string) (Resolved, error) {
	in := reader{given: given, echo: maps.Clone(given), used: map[string]bool{}}
	if in.echo == nil {
		in.echo = map[string]string{}
	}
	var r Resolved
	r.Epochs = int(in.integer(KeyEpochCount, p.epochs))
	r.BatchSize = int(in.integer(KeyBatchSize, p.batch))
	r.WarmupSteps = int(in.integer(KeyWarmupSteps, p.warmup))
	r.LearningRate = in.rate(KeyLearningRate, p.rateHigh, p.rateDefault)

	r.Method = in.choice(KeyMethod, p.method, MethodFull, MethodLoRA)
	r.LoRARank = int(in.extension(KeyLoRARank, bounds{1, 256, defaultLoRARank}))
	r.MaxSequenceLength = int(in.extension(KeyMaxSequenceLength,
		bounds{minSequenceLength, int64(p.contextLength), int64(p.maxSequenceLength)}))
	r.Seed = in.extension(KeySeed, bounds{0, math.MaxUint32, 0})
	if rank, ok := given[KeyLoRARank]; ok && r.Method == MethodFull {
		in.fault(KeyLoRARank, rank, "it goes with "+KeyMethod+"=lora only, and this job trains full weights")
	}
	r.EffectiveLearningRate = r.LearningRate
	if r.Method == MethodLoRA {
		r.EffectiveLearningRate *= p.loraScale
	}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if !in.used[key] {
			in.fault(key, given[key], "unknown key; this base model has "+
				strings.Join(slices.Sorted(maps.Keys(in.used)), ", "))
		}
	}
	if len(in.faults) > 0 {
		slices.SortStableFunc(in.faults, func(a, b *HyperparameterError) int { return strings.Compare(a.Key, b.Key) })
		errs := make([]error, len(in.faults))
		for i, fault := range in.faults {
			errs[i] = fault
		}
		return Resolved{}, errors.Join(errs...)
	}
	r.Echo = in.echo
	return r, nil
}

// reader takes hyperparameters one by one and remembers the faults.
type reader struct {
	given, echo map[string]string
	used        map[string]bool
	faults      []*HyperparameterError
}

func (in *reader) fault(key, value, want string) {
	in.faults = append(in.faults, &HyperparameterError{key, value, want})
}

func (in *reader) integer(key string, b bounds) int64 {
	if _, ok := in.given[key]; !ok {
		in.echo[key] = strconv.FormatInt(b.standard, 10)
	}
	return in.extension(key, b)
}

var (
	integerPattern = regexp.MustCompile(`^[0-9]{1,18}$`)
	// AWS's own samples write 0.00001, .0001 and 1E-6; Go's NaN, Inf, hexadecimal and 1_0 are not meant.
	decimalPattern = regexp.MustCompile(`^([0-9]{1,32}(\.[0-9]{0,64})?|\.[0-9]{1,64})([eE][-+]?[0-9]{1,3})?$`)
)

// extension reads a key that is echoed only when it was sent.
func (in *reader) extension(key string, b bounds) int64 {
	in.used[key] = true
	text, ok := in.given[key]
	if !ok {
		return b.standard
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || !integerPattern.MatchString(text) || value < b.low || value > b.high {
		in.fault(key, text, fmt.Sprintf("want an integer from %d to %d", b.low, b.high))
		return b.standard
	}
	return value
}

func (in *reader) rate(key string, high float64, standard string) float64 {
	in.used[key] = true
	text, ok := in.given[key]
	if !ok {
		text = standard
		in.echo[key] = standard
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || !decimalPattern.MatchString(text) || value < 0 || value > high {
		in.fault(key, text, fmt.Sprintf("want a number from 0 to %g", high))
		return 0
	}
	return value
}

func (in *reader) choice(key, standard string, allowed ...string) string {
	in.used[key] = true
	text, ok := in.given[key]
	if !ok {
		return standard
	}
	if !slices.Contains(allowed, text) {
		in.fault(key, text, "want one of "+strings.Join(allowed, ", "))
		return standard
	}
	return text
}
