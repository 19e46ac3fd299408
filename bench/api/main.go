// Command api measures what calls cost on a durable store with 10,000 jobs: Get, List and Describe against
// moto's server in the same run, latency at a fixed offered load, KMS's Encrypt and Decrypt likewise, and list
// pages. Cloister serves over TLS and verifies signatures; moto does neither and holds the same
// jobs in memory.
//
// moto is installed into the cache by bench/moto.sh; without it the comparison is left out, and that counts as
// a missed bound.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"example.com/cloister/bench/harness"
)

// Bounds. Source: docs/benchmarks.md, which quotes the issue.
const (
	motoBound = 25 // × moto's requests per CPU-second, or per second
	callBound = 10 // ms, p99 of offered calls
	kmsBound  = 5  // ms, p99 of offered KMS calls
	pageBound = 20 // ms, median of a list page
)

const (
	connections = 64
	defaultPage = 100  // jobs on a page when no size is asked for
	callRate    = 1000 // requests a second
	kmsRate     = 500
	// loads is how often a load is offered: on a shared machine one burst of the neighbours' is not the server's.
	loads = 3
	// comparing is the number of connections of the comparison: more than there are processors gain nothing.
	comparing = 4
)

func main() {
	b := &bench{}
	flag.StringVar(&b.bin, "bin", "bin/cloister", "the binary to measure")
	flag.StringVar(&b.moto, "moto", "", "a Python with moto to compare with")
	flag.IntVar(&b.jobs, "jobs", 10_000, "jobs in the store")
	flag.IntVar(&b.rounds, "rounds", 5, "rounds of the comparison")
	flag.DurationVar(&b.length, "length", 5*time.Second, "length of each offered load")
	harness.Main(b.run)
}

type bench struct {
	bin, moto    string
	jobs, rounds int
	length       time.Duration
}

func (b *bench) run(ctx context.Context, r *harness.Report) (err error) {
	dir, err := harness.TempDir()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	start := harness.Now()
	ours, err := startCloister(ctx, b.bin, dir, b.jobs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	r.Say("%d jobs and models are in the store (%.0f s)", b.jobs, harness.Now().Sub(start).Seconds())
	if err := b.calls(ctx, r, ours); err != nil {
		return err
	}
	if err := b.pages(ctx, r, ours); err != nil {
		return err
	}
	if b.moto == "" {
		r.Missing("Get, List and Describe against moto", "moto could not be installed")
		return nil
	}
	theirs, err := startMoto(ctx, b.moto, dir, b.jobs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, theirs.stop()) }()
	return b.compare(ctx, r, ours, theirs)
}

// calls judges latency at the offered loads.
func (b *bench) calls(ctx context.Context, r *harness.Report, ours *target) error {
	secret := []byte("sixteen bytes!!!")
	client := kms.NewFromConfig(ours.config)
	key, err := client.CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		return err
	}
	sealed, err := client.Encrypt(ctx, &kms.EncryptInput{KeyId: key.KeyMetadata.Arn, Plaintext: secret})
	if err != nil {
		return err
	}
	encrypt, err := record("Encrypt", ours.config, func(c aws.Config) error {
		_, err := kms.NewFromConfig(c).Encrypt(ctx, &kms.EncryptInput{KeyId: key.KeyMetadata.Arn, Plaintext: secret})
		return err
	})
	if err != nil {
		return err
	}
	decrypt, err := record("Decrypt", ours.config, func(c aws.Config) error {
		_, err := kms.NewFromConfig(c).Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob})
		return err
	})
	if err != nil {
		return err
	}
	for _, load := range []struct {
		name    string
		queries []request
		rate    int
		bound   float64
	}{
		{"Get, List, Describe", ours.compared, callRate, callBound},
		{"KMS Encrypt, Decrypt", []request{encrypt, decrypt}, kmsRate, kmsBound},
	} {
		if _, err := offered(ctx, ours.transport, load.queries, load.rate, connections, time.Second); err != nil { // connections
			return err
		}
		var slow []float64
		for range loads {
			latencies, err := offered(ctx, ours.transport, load.queries, load.rate, connections, b.length)
			if err != nil {
				return err
			}
			slow = append(slow, ms(harness.Quantile(latencies, 0.99)))
			r.Say("%s at %d/s over %d connections for %v: p50 %.2f ms, p99 %.2f, p99.9 %.2f, max %.2f", load.name, load.rate, connections, b.length,
				ms(harness.Median(latencies)), slow[len(slow)-1], ms(harness.Quantile(latencies, 0.999)), ms(harness.Quantile(latencies, 1)))
		}
		r.AtMost(fmt.Sprintf("%s at %d/s, p99, median of %d", load.name, load.rate, loads), harness.Median(slow), load.bound, "ms")
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// pages judges list pages: of the default size, and of few or no matches. The largest page that can be asked for
// is ten times the default one; it is printed and not judged.
func (b *bench) pages(ctx context.Context, r *harness.Report, ours *target) error {
	for _, p := range []struct {
		name string
		in   *bedrock.ListModelCustomizationJobsInput
		want int
	}{
		{"of the default size", &bedrock.ListModelCustomizationJobsInput{}, min(defaultPage, b.jobs)},
		{"by name", &bedrock.ListModelCustomizationJobsInput{NameContains: aws.String("job-000000"), MaxResults: aws.Int32(100)}, 1},
		{"by status", &bedrock.ListModelCustomizationJobsInput{StatusEquals: "Failed", MaxResults: aws.Int32(100)}, 0},
		{"of 1000", &bedrock.ListModelCustomizationJobsInput{MaxResults: aws.Int32(1000)}, min(1000, b.jobs)},
	} {
		q, err := record("ListModelCustomizationJobs "+p.name, ours.config, func(c aws.Config) error { return listJobs(ctx, c, p.in, p.want) })
		if err != nil {
			return err
		}
		var latencies []time.Duration
		for range 50 {
			start := harness.Now()
			if err := q.send(ctx, ours.transport); err != nil {
				return err
			}
			latencies = append(latencies, harness.Now().Sub(start))
		}
		if p.want > defaultPage {
			r.Say("list page %s, %d jobs in the store, median: %.1f ms", p.name, b.jobs, ms(harness.Median(latencies)))
			continue
		}
		r.AtMost(fmt.Sprintf("list page %s, %d jobs in the store, median", p.name, b.jobs), ms(harness.Median(latencies)), pageBound, "ms")
	}
	return nil
}

// cost is what one round of a request cost a server.
type cost struct{ cpu, wall float64 } // seconds a request

// compare judges the three calls against moto, by server CPU: the client shares the processors, so that
// requests per second say more about it than about a fast server.
func (b *bench) compare(ctx context.Context, r *harness.Report, ours, theirs *target) error {
	for i, q := range ours.compared {
		var cpu, wall []float64
		for range b.rounds {
			a, err := measure(ctx, ours, ours.compared[i], 4000)
			if err != nil {
				return err
			}
			m, err := measure(ctx, theirs, theirs.compared[i], 200)
			if err != nil {
				return err
			}
			r.Say("%s: cloister %.0f requests/s, %.0f µs of CPU each; moto %.0f requests/s, %.0f µs", q.name, 1/a.wall, a.cpu*1e6, 1/m.wall, m.cpu*1e6)
			cpu, wall = append(cpu, m.cpu/a.cpu), append(wall, m.wall/a.wall)
		}
		r.AtLeast(fmt.Sprintf("%s: requests per server CPU-second / moto's, median (requests per second / moto's: %.1f)", q.name, harness.Median(wall)),
			harness.Median(cpu), motoBound, "x")
	}
	return nil
}

func measure(ctx context.Context, t *target, q request, n int) (cost, error) {
	before, err := harness.UsageOf(t.pid)
	if err != nil {
		return cost{}, err
	}
	wall, err := closed(ctx, t.transport, q, n, comparing)
	if err != nil {
		return cost{}, fmt.Errorf("%s: %w", t.name, err)
	}
	after, err := harness.UsageOf(t.pid)
	if err != nil {
		return cost{}, err
	}
	return cost{cpu: (after.CPU - before.CPU).Seconds() / float64(n), wall: wall.Seconds() / float64(n)}, nil
}
