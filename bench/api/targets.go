package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"example.com/cloister/bench/harness"
)

// target is a server with the requests that are compared.
type target struct {
	name      string
	pid       int
	transport http.RoundTripper
	config    aws.Config
	compared  []request
	stop      func() error
}

// page is the size of the compared list pages: both servers have more jobs than that.
const page = 10

// prepare records the three compared requests. Both servers answer with a page of the same size.
func (t *target) prepare(ctx context.Context, job string) error {
	key, err := kms.NewFromConfig(t.config).CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		return err
	}
	for _, c := range []struct {
		name string
		call func(aws.Config) error
	}{
		{"GetModelCustomizationJob", func(c aws.Config) error {
			_, err := bedrock.NewFromConfig(c).GetModelCustomizationJob(ctx, &bedrock.GetModelCustomizationJobInput{JobIdentifier: &job})
			return err
		}},
		{"ListModelCustomizationJobs", func(c aws.Config) error {
			return listJobs(ctx, c, &bedrock.ListModelCustomizationJobsInput{MaxResults: aws.Int32(page)}, page)
		}},
		{"DescribeKey", func(c aws.Config) error {
			_, err := kms.NewFromConfig(c).DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: key.KeyMetadata.Arn})
			return err
		}},
	} {
		q, err := record(c.name, t.config, c.call)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		t.compared = append(t.compared, q)
	}
	return nil
}

// listJobs lists one page, which must have that many jobs.
func listJobs(ctx context.Context, c aws.Config, in *bedrock.ListModelCustomizationJobsInput, want int) error {
	out, err := bedrock.NewFromConfig(c).ListModelCustomizationJobs(ctx, in)
	if err != nil {
		return err
	}
	if n := len(out.ModelCustomizationJobSummaries); n != want {
		return fmt.Errorf("the page has %d jobs, want %d", n, want)
	}
	return nil
}

// startCloister runs a server whose store has that many jobs.
func startCloister(ctx context.Context, bin, dir string, jobs int) (*target, error) {
	data := filepath.Join(dir, "data")
	first, err := harness.StartServer(ctx, bin, data)
	if err != nil {
		return nil, err
	}
	if err := first.Stop(); err != nil {
		return nil, err
	}
	if err := harness.SeedJobs(ctx, data, jobs, harness.Now()); err != nil {
		return nil, err
	}
	s, err := harness.StartServer(ctx, bin, data)
	if err != nil {
		return nil, err
	}
	t := &target{name: "cloister", pid: s.PID(), stop: s.Stop}
	if t.config, err = s.Client(ctx, connections); err == nil {
		if client, ok := t.config.HTTPClient.(*http.Client); ok {
			t.transport = client.Transport
		}
		err = t.prepare(ctx, "job-000000")
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return t, nil
}

// startMoto runs moto's server, which holds that many jobs in memory.
func startMoto(ctx context.Context, python, dir string, jobs int) (*target, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "moto.log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, python, "bench/api/moto_server.py", port, strconv.Itoa(jobs)) //nolint:gosec // the yardstick
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	transport := &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}
	t := &target{
		name: "moto", pid: cmd.Process.Pid, transport: transport, config: harness.ClientConfig("http://"+address, "bench", "bench", transport),
		stop: func() error {
			err := cmd.Process.Signal(syscall.SIGKILL)
			_ = cmd.Wait() // it was killed
			return errors.Join(err, log.Close())
		},
	}
	if err := t.fill(ctx); err != nil {
		return nil, errors.Join(err, t.stop())
	}
	return t, nil
}

// patience bounds the start of the yardstick.
const patience = 30 * time.Second

// fill waits until moto answers and records the compared requests.
func (t *target) fill(ctx context.Context) error {
	client := bedrock.NewFromConfig(t.config)
	for start := harness.Now(); ; {
		_, err := client.ListModelCustomizationJobs(ctx, &bedrock.ListModelCustomizationJobsInput{MaxResults: aws.Int32(page)})
		if err == nil {
			break
		}
		if ctx.Err() != nil || harness.Now().Sub(start) > patience {
			return fmt.Errorf("moto does not answer: %w", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return t.prepare(ctx, "job-000000")
}
