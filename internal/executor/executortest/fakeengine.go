package executortest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"example.com/cloister/internal/engine"
)

// FakeEngineVariable makes a test binary whose TestMain calls FakeEngine a fake engine.
const FakeEngineVariable = "CLOISTER_TEST_FAKE_ENGINE"

// Seeds of the fake engine: what it does instead of training well.
const (
	SeedDie       = 101 // ends without a word
	SeedNonFinite = 102 // fails with non_finite
	SeedHang      = 103 // takes a step every 20 ms, and when there is none left goes on until it is asked to stop
	SeedGarbage   = 104 // breaks the protocol
	SeedData      = 105 // fails with data at line 2
)

// weightBytes is the size of the fake weights: several segments of the artifact's format and a rest.
const weightBytes = 600_000

// FakeEngine runs the fake engine if this process was started as one, and never returns then. A test
// binary calls it first in TestMain. The command line is that of the real engine, the test binary in place
// of the interpreter.
func FakeEngine() {
	if os.Getenv(FakeEngineVariable) == "" {
		return
	}
	os.Exit(fakeEngine(os.Args[len(os.Args)-1]))
}

func fakeEngine(specPath string) int {
	text, err := os.ReadFile(real(specPath))
	if err != nil {
		return engine.ExitInternal
	}
	spec, err := engine.DecodeSpec(text)
	if err != nil {
		return engine.ExitInternal
	}
	f := &fake{out: engine.NewEncoder(os.NewFile(engine.EventFD, "events"), time.Now), stop: make(chan struct{})}
	go f.listen()
	switch s := spec.(type) {
	case *engine.Train:
		return f.train(s)
	case *engine.Evaluate:
		return f.evaluate(s)
	default:
		return engine.ExitUsage
	}
}

// real maps a path of the sandbox to where it really is.
func real(path string) string {
	if rest, ok := strings.CutPrefix(path, engine.Scratch); ok {
		return filepath.Join(os.Getenv(ScratchVariable), rest)
	}
	return path
}

type fake struct {
	out  *engine.Encoder
	stop chan struct{}
}

func (f *fake) listen() {
	in := bufio.NewScanner(os.NewFile(engine.EventFD, "commands"))
	for in.Scan() {
		if bytes.Contains(in.Bytes(), []byte("stop")) {
			close(f.stop)
			return
		}
	}
}

func (f *fake) emit(e engine.Event) {
	if err := f.out.Encode(e); err != nil {
		os.Exit(engine.ExitInternal)
	}
}

func (f *fake) fail(reason engine.Reason, message, file string, line int64) int {
	f.emit(&engine.Failed{Reason: reason, Message: message, File: file, Line: line})
	return reason.ExitCode()
}

func (f *fake) train(s *engine.Train) int {
	data, err := os.ReadFile(real(s.TrainFile))
	if err != nil {
		return f.fail(engine.ReasonInternal, "cannot read", "", 0)
	}
	records := int64(bytes.Count(data, []byte("\n")))
	perEpoch := (records + int64(s.BatchSize) - 1) / int64(s.BatchSize)
	steps := perEpoch * int64(s.Epochs)
	f.emit(&engine.Preflight{File: "train", Records: records, Rows: records, Tokens: 10 * records, LabelTokens: 2 * records, Steps: steps})
	switch s.Seed {
	case SeedDie:
		return 137
	case SeedData:
		return f.fail(engine.ReasonData, "the record has no token to learn", "train", 2)
	case SeedGarbage:
		_, _ = os.NewFile(engine.EventFD, "events").WriteString("{\"type\":\"surprise\"}\n")
	}
	f.emit(&engine.Started{MaxSteps: steps, StepsPerEpoch: perEpoch, MicroBatch: 1, Parameters: 1, Trainable: 1, Seed: s.Seed, Threads: int64(s.Threads), Versions: map[string]string{"fake": "1"}})
	for i := range steps {
		if s.Seed == SeedNonFinite && i == 1 {
			return f.fail(engine.ReasonNonFinite, "at step 1 the loss or its gradient is not a number: lower the learning rate", "", 0)
		}
		f.emit(&engine.Step{
			Step: i, MaxSteps: steps, Epoch: i / perEpoch, Loss: 2 / float64(i+1), LearningRate: s.LearningRate, TokensTotal: 10 * (i + 1),
			TokensPerSecond: 100, ETASeconds: float64(steps - i - 1),
		})
		if s.Seed == SeedHang {
			time.Sleep(20 * time.Millisecond)
		}
		select {
		case <-f.stop:
			f.emit(&engine.Stopped{Steps: i + 1})
			return engine.ExitStopped
		default:
		}
		if s.Seed == SeedHang && i == steps-1 {
			<-f.stop
			f.emit(&engine.Stopped{Steps: steps})
			return engine.ExitStopped
		}
		if (i+1)%perEpoch == 0 && len(s.ValidationFiles) > 0 {
			e := &engine.Evaluation{Step: i, Epoch: i / perEpoch, Loss: 1.5, LabelTokens: 4}
			for range s.ValidationFiles {
				e.Files = append(e.Files, engine.FileLoss{Loss: 1.5, LabelTokens: 4})
			}
			f.emit(e)
		}
	}
	return f.finish(s, data, steps)
}

// finish leaves weights that depend on data and seed, as the real engine's do.
func (f *fake) finish(s *engine.Train, data []byte, steps int64) int {
	out := real(s.Output)
	if err := os.MkdirAll(out, 0o755); err != nil {
		return f.fail(engine.ReasonInternal, "cannot write", "", 0)
	}
	weights := FakeWeights(data, s.Seed)
	files := map[string][]byte{"model.safetensors": weights, "config.json": []byte("{}\n")}
	sizes := map[string]int64{}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(out, name), text, 0o644); err != nil {
			return f.fail(engine.ReasonInternal, "cannot write", "", 0)
		}
		sizes[name] = int64(len(text))
	}
	f.emit(&engine.Completed{Steps: steps, Trainable: 1, LossLast: 2 / float64(steps), LossMean: 1, Files: sizes, Seconds: 0.1})
	return engine.ExitCompleted
}

// FakeWeights are the weights that the fake engine makes of data, in the form in which it was staged.
func FakeWeights(data []byte, seed int64) []byte {
	out := make([]byte, 0, weightBytes+sha256.Size)
	for i := 0; len(out) < weightBytes; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %x", i, seed, sha256.Sum256(data)))
		out = append(out, sum[:]...)
	}
	return out[:weightBytes]
}

// evaluate answers every prompt with the first bytes of the model's hash.
func (f *fake) evaluate(s *engine.Evaluate) int {
	model := []byte("base")
	if s.Model != "" {
		var err error
		if model, err = os.ReadFile(filepath.Join(real(s.Model), "model.safetensors")); err != nil {
			return f.fail(engine.ReasonInternal, "no model", "", 0)
		}
	}
	measured := &engine.Measured{Loss: 1 / float64(len(model)), LabelTokens: 1}
	if s.PromptsFile != "" {
		prompts, err := os.ReadFile(real(s.PromptsFile))
		if err != nil || os.MkdirAll(filepath.Dir(real(s.Output)), 0o755) != nil {
			return f.fail(engine.ReasonInternal, "no prompts", "", 0)
		}
		var answers bytes.Buffer
		for i := range bytes.Count(prompts, []byte("\n")) {
			fmt.Fprintf(&answers, `{"index":%d,"text":"%x","tokens":1,"ended":true}`+"\n", i, sha256.Sum256(model))
			measured.Prompts++
		}
		if err := os.WriteFile(real(s.Output), answers.Bytes(), 0o644); err != nil {
			return f.fail(engine.ReasonInternal, "cannot write", "", 0)
		}
	}
	f.emit(measured)
	f.emit(&engine.Completed{Files: map[string]int64{}, Seconds: 0.1})
	return engine.ExitCompleted
}

// WeightsHash is the hash of FakeWeights: in hexadecimal, what the fake model answers to every prompt.
func WeightsHash(data []byte, seed int64) [sha256.Size]byte {
	return sha256.Sum256(FakeWeights(data, seed))
}
