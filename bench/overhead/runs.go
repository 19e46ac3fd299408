package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"example.com/cloister"
	"example.com/cloister/bench/harness"
	"example.com/cloister/internal/basemodel"
	"example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/engine/process"
	"example.com/cloister/internal/install"
	"example.com/cloister/internal/server"
	"example.com/cloister/internal/store"
)

// jobs runs customization jobs on a server and reads their records from its store.
type jobs struct {
	*harness.Jobs
	db *store.DB
}

func newJobs(ctx context.Context, s *harness.Server, data []byte) (*jobs, error) {
	made, err := harness.NewJobs(ctx, s, data)
	if err != nil {
		return nil, err
	}
	db, err := store.OpenReader(ctx, filepath.Join(s.Data, "cloister.db"))
	if err != nil {
		return nil, err
	}
	return &jobs{made, db}, nil
}

func (j *jobs) close() error { return j.db.Close() }

// run runs one job to its end and says what it took, and with which parameters it trained.
func (j *jobs) run(ctx context.Context, name string) (sample, bedrock.Training, error) {
	wall, err := j.Run(ctx, name, nil)
	if err != nil {
		return sample{}, bedrock.Training{}, err
	}
	row, err := j.db.Bedrock(harness.Now).Job(ctx, cloister.DefaultAccount, cloister.DefaultRegion, name)
	if err != nil {
		return sample{}, bedrock.Training{}, err
	}
	s := sample{cpu: row.Record.CPUSeconds, engine: row.Record.WallSeconds, job: wall.Seconds(), tokens: row.Record.Tokens}
	if s.cpu <= 0 || s.tokens <= 0 {
		return sample{}, bedrock.Training{}, fmt.Errorf("job %s recorded no CPU time or tokens", name)
	}
	return s, row.Training, nil
}

// yardstick runs the same engine without isolation.
type yardstick struct {
	spec    engine.Train
	data    []byte
	command process.Command
}

func newYardstick(t bedrock.Training, data []byte) (*yardstick, error) {
	home, err := install.DefaultHome(os.Geteuid(), os.Getenv)
	if err != nil {
		return nil, err
	}
	installed, err := home.Engine()
	if err != nil {
		return nil, err
	}
	models, err := home.Models()
	if err != nil {
		return nil, err
	}
	if _, err := models.Get(basemodel.Tiny); err != nil {
		return nil, fmt.Errorf("%w: run 'cloister models add tiny'", err)
	}
	threads := server.Default().Threads()
	return &yardstick{
		spec: engine.Train{
			Base: models.Dir(basemodel.Tiny), Task: engine.FineTuning, Method: t.Method, LoRARank: t.LoRARank, Epochs: t.Epochs, BatchSize: t.BatchSize,
			LearningRate: t.UsedLearningRate, WarmupSteps: t.WarmupSteps, MaxLength: t.MaxSequenceLength, Seed: t.Seed, Threads: threads,
		},
		data: data, command: process.Command{Python: installed.Python, Env: installed.Env(threads)},
	}, nil
}

func (y *yardstick) run(ctx context.Context) (_ sample, err error) {
	box, err := newBare()
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, box.Destroy(ctx)) }()
	if err := box.put(engine.TrainFile, y.data); err != nil {
		return sample{}, err
	}
	spec := y.spec
	spec.TrainFile, spec.Output = box.host(engine.TrainFile), box.host(engine.OutputPath)
	var tokens int64
	result, err := y.command.Run(ctx, box, &spec, func(e engine.Event) error {
		if step, ok := e.(*engine.Step); ok {
			tokens = step.TokensTotal
		}
		return nil
	}, nil)
	if err != nil {
		return sample{}, err
	}
	if _, ok := result.Final.(*engine.Completed); !ok {
		return sample{}, fmt.Errorf("the bare engine ended with status %d and %T", result.Exit.Code, result.Final)
	}
	return sample{cpu: result.Exit.CPU.Seconds(), engine: result.Exit.Wall.Seconds(), tokens: tokens}, nil
}
