//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"

	"example.com/cloister/bench/harness"
)

// jobs runs jobs in a VPC and without, on one server, and says how long each took as its client saw it.
func (b *bench) jobs(ctx context.Context, r *harness.Report) (_ []round, err error) {
	dir, err := harness.TempDir()
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := harness.StartServer(ctx, b.bin, filepath.Join(dir, "data"))
	if err != nil {
		return nil, err
	}
	defer closing(&err, server.Stop)
	config, err := b.makeNetwork(ctx, server.Data)
	if err != nil {
		return nil, err
	}
	jobs, err := harness.NewJobs(ctx, server, harness.Records(b.records))
	if err != nil {
		return nil, err
	}
	run := func(name string, config *types.VpcConfig) func(int) (float64, error) {
		return func(i int) (float64, error) {
			wall, err := jobs.Run(ctx, fmt.Sprintf("%s-%d", name, i), config)
			return wall.Seconds(), err
		}
	}
	if _, err := measure(1, run("warm-up", nil), run("warm-up-vpc", config)); err != nil { // the page cache, for both sides
		return nil, err
	}
	rounds, err := measure(b.rounds, run("plain", nil), run("vpc", config))
	for i, at := range rounds {
		r.Say("round %d: job of %d records, s: in a VPC %.2f, without %.2f and %.2f", i+1, b.records, at.vpc, at.first, at.second)
	}
	return rounds, err
}

// makeNetwork is `cloister network create`, as a customer does it.
func (b *bench) makeNetwork(ctx context.Context, data string) (*types.VpcConfig, error) {
	out, err := exec.CommandContext(ctx, b.bin, "network", "create", "--json", "--data", data).Output() //nolint:gosec // the binary under test
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w\n%s", err, exit.Stderr)
		}
		return nil, fmt.Errorf("cloister network create: %w", err)
	}
	var made struct {
		Subnets       []string `json:"subnets"`
		SecurityGroup string   `json:"securityGroup"`
	}
	if err := json.Unmarshal(out, &made); err != nil {
		return nil, err
	}
	return &types.VpcConfig{SubnetIds: made.Subnets, SecurityGroupIds: []string{made.SecurityGroup}}, nil
}
