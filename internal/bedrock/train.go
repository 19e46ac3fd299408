package bedrock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/runner"
)

const (
	// stopGrace is how long an engine that was asked to stop may finish its step.
	stopGrace = 60 * time.Second
	// progressEvery bounds how often progress is written: watchers see it within this time.
	progressEvery = 250 * time.Millisecond
)

// train runs the engine and keeps what it reports. A stop lets the running step end, so that its metrics
// are there; the end of the process does not.
func (r *run) train(ctx context.Context) error {
	if err := r.s.Store.DropProgress(ctx, r.job.ID); err != nil {
		return err
	}
	t := r.job.Training
	spec := &engine.Train{
		Base: engine.BasePath, TrainFile: engine.TrainFile, Output: engine.OutputPath, Task: taskOf(r.job.Type), Method: t.Method,
		LoRARank: t.LoRARank, Epochs: t.Epochs, BatchSize: t.BatchSize, LearningRate: t.UsedLearningRate, WarmupSteps: t.WarmupSteps,
		MaxLength: t.MaxSequenceLength, Seed: t.Seed, Threads: r.s.Engine.Threads(),
	}
	for i := range r.job.ValidationURIs {
		spec.ValidationFiles = append(spec.ValidationFiles, engine.ValidationFile(i))
	}
	log := &progressLog{s: r.s, id: r.job.ID, files: 1 + len(r.job.ValidationURIs), epochs: t.Epochs, steps: r.maxSteps()}
	kill, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stop := make(chan struct{})
	defer context.AfterFunc(ctx, func() {
		if !errors.Is(context.Cause(ctx), runner.ErrStopped) {
			cancel(context.Cause(ctx))
			return
		}
		close(stop)
		time.AfterFunc(stopGrace, func() { cancel(runner.ErrStopped) })
	})()
	result, err := r.s.Engine.Run(kill, r.box, spec, func(e engine.Event) error { return log.add(context.WithoutCancel(ctx), e) }, stop)
	if flushErr := log.flush(context.WithoutCancel(ctx)); err == nil {
		err = flushErr
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	return r.trained(ctx, result, log)
}

// maxSteps is how many optimizer steps the staged records can give.
func (r *run) maxSteps() int64 {
	perEpoch := (r.records + r.job.Training.BatchSize - 1) / r.job.Training.BatchSize
	return int64(perEpoch) * int64(r.job.Training.Epochs)
}

func taskOf(customization string) string {
	if customization == "CONTINUED_PRE_TRAINING" {
		return engine.PreTraining
	}
	return engine.FineTuning
}

// trained judges how a run of the engine ended.
func (r *run) trained(ctx context.Context, result EngineResult, log *progressLog) error {
	if err := r.s.engineFailure(result, r.job.TrainingURI, r.job.ValidationURIs); err != nil {
		return err
	}
	done, ok := result.Final.(*engine.Completed)
	if !ok {
		return errors.New("engine stopped without being asked to")
	}
	r.files = done.Files
	return r.change(ctx, func(j *Job) {
		j.Modified = r.s.Now()
		j.Record.CPUSeconds, j.Record.WallSeconds = result.Exit.CPU.Seconds(), result.Exit.Wall.Seconds()
		j.Record.PeakRSS = result.Exit.PeakRSSBytes
		j.Record.Versions, j.Record.Tokens = log.versions, log.tokens
		loss := done.LossMean
		if log.epochSteps > 0 {
			loss = log.epochLoss / float64(log.epochSteps)
		}
		j.TrainingLoss = &loss
		j.ValidationLoss = log.validation
	})
}

// engineFailure turns an engine's failure into one that the customer can read, or returns nil.
func (s *Service) engineFailure(result EngineResult, training string, validation []string) error {
	switch result.Exit.OverLimit {
	case "memory":
		return dataErrorf("The job ran out of memory: it may use %d MiB, scratch included ([sandbox] memory in cloister.toml). Lower batchSize or cloister.maxSequenceLength, or use cloister.method=lora.", s.Limits.MemoryBytes>>20)
	case "scratch":
		return dataErrorf("The job filled its scratch of %d MiB ([sandbox] scratch in cloister.toml).", s.Limits.ScratchBytes>>20)
	case "wall":
		return dataErrorf("The job ran longer than %v ([sandbox] wall in cloister.toml).", s.Limits.Wall)
	}
	failed, ok := result.Final.(*engine.Failed)
	if !ok {
		if result.Final == nil {
			return dataErrorf("The training engine ended unexpectedly (exit status %d).", result.Exit.Code)
		}
		return nil
	}
	switch failed.Reason {
	case engine.ReasonData:
		uri := fileURI(failed.File, training, validation)
		if failed.Line > 0 {
			return dataErrorf("%s (%s, line %d)", failed.Message, uri, failed.Line)
		}
		return dataErrorf("%s (%s)", failed.Message, uri)
	case engine.ReasonOOM:
		return dataErrorf("The job ran out of memory: %s", failed.Message)
	case engine.ReasonNonFinite:
		return dataErrorf("Training diverged: %s.", failed.Message)
	case engine.ReasonNoEffect:
		return dataErrorf("Training had no effect: %s.", failed.Message)
	case engine.ReasonInternal:
	}
	return fmt.Errorf("engine: %s", failed.Message)
}

// fileURI is the customer's name for an engine's file.
func fileURI(file, training string, validation []string) string {
	for i, uri := range validation {
		if file == fmt.Sprintf("validation-%d", i) {
			return uri
		}
	}
	return training
}

// progressLog collects what the engine reports and writes it in batches, so that training never waits long
// for the disk.
type progressLog struct {
	s       *Service
	id      string
	pending []Progress
	written time.Time

	// What the engine may report: it has read customers' data, and could be made to flood the database.
	files, epochs int
	steps         int64
	next          int64 // the number of the step to come

	versions   map[string]string
	tokens     int64
	epoch      int64
	epochLoss  float64
	epochSteps int
	validation []float64
}

func (l *progressLog) add(ctx context.Context, event engine.Event) error {
	switch e := event.(type) {
	case *engine.Heartbeat, *engine.Completed, *engine.Stopped, *engine.Failed:
		return l.flush(ctx)
	case *engine.Preflight:
		if l.files--; l.files < 0 {
			return fmt.Errorf("%w: more preflights than files", engine.ErrProtocol)
		}
	case *engine.Started:
		if l.versions != nil {
			return fmt.Errorf("%w: started twice", engine.ErrProtocol)
		}
		l.versions = e.Versions
	case *engine.Step:
		if e.Step != l.next || l.next >= l.steps {
			return fmt.Errorf("%w: step %d is not the next of %d", engine.ErrProtocol, e.Step, l.steps)
		}
		l.next++
		if e.Epoch != l.epoch {
			l.epoch, l.epochLoss, l.epochSteps = e.Epoch, 0, 0
		}
		l.epochLoss += e.Loss
		l.epochSteps++
		l.tokens = e.TokensTotal
	case *engine.Evaluation:
		if l.epochs--; l.epochs < 0 {
			return fmt.Errorf("%w: more evaluations than epochs", engine.ErrProtocol)
		}
		l.validation = l.validation[:0]
		for _, file := range e.Files {
			l.validation = append(l.validation, file.Loss)
		}
	}
	text, err := json.Marshal(event)
	if err != nil {
		return err
	}
	now := l.s.Now()
	l.pending = append(l.pending, Progress{Type: event.Kind(), Data: text, At: now})
	if now.Sub(l.written) < progressEvery {
		return nil
	}
	return l.flush(ctx)
}

func (l *progressLog) flush(ctx context.Context) error {
	if len(l.pending) == 0 {
		return nil
	}
	if err := l.s.Store.AddProgress(ctx, l.id, l.pending); err != nil {
		return err
	}
	l.pending, l.written = nil, l.s.Now()
	l.s.bell.ring(l.id)
	return nil
}

// perplexity is exp(loss); a loss so large that this overflows gives the largest number.
func perplexity(loss float64) float64 { return math.Min(math.Exp(loss), math.MaxFloat64) }
