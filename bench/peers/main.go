// Command peers compares `cloister audit` with Prowler on the same fake AWS: the two questions that both ask, whether
// invocation logging is on and whether each custom model is under a customer managed key, in thirty regions at 20 ms a
// call. It judges time beyond Prowler's own start, peak memory, calls, and that both give each model the same verdict.
//
// The one thing to know: Prowler asks for guardrails as well, which these two checks do not need; its calls count as it
// makes them. It is installed into the cache by bench/prowler.sh.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.com/cloister/bench/harness"
)

// Bounds. Source: docs/benchmarks.md, which quotes the issue.
const (
	timeBound   = 1.0 / 20 // of its time beyond its own start
	memoryBound = 1.0 / 5
	callBound   = 1.1
)

// Prowler's two checks.
const (
	modelCheck   = "bedrock_custom_model_encrypted_with_cmk"
	loggingCheck = "bedrock_model_invocation_logging_enabled"
)

// world has two models in each of AWS's regions, with and without a key.
func world() []string {
	return []string{"-latency=20ms", "-regions=34", "-jobs=226", "-models=68", "-sharing=10"}
}

// both are thirty regions that Prowler 5.46.0 scans when asked to: it takes ap-east-1 for one without Bedrock, and its
// configuration leaves two out.
func both(regions []string) []string {
	return slices.DeleteFunc(regions, func(r string) bool { return r == "ap-east-1" || r == "me-central-1" || r == "me-south-1" })[:30]
}

func main() {
	b := &bench{}
	flag.StringVar(&b.bin, "bin", "bin/cloister", "the binary to measure")
	flag.StringVar(&b.fake, "fake", "bin/fakeaws", "the binary of bench/fakeaws")
	flag.StringVar(&b.prowler, "prowler", "", "Prowler")
	flag.IntVar(&b.rounds, "rounds", 5, "audits of each")
	harness.Main(b.run)
}

type bench struct {
	bin, fake, prowler string
	rounds             int
	dir, address       string
}

// scan is what one scan cost and said.
type scan struct {
	harness.Cost
	calls    int
	verdicts map[string]string // of models, by ARN
}

func (b *bench) run(ctx context.Context, r *harness.Report) (err error) {
	if b.prowler == "" {
		r.Missing("audit against Prowler", "Prowler could not be installed")
		return nil
	}
	if b.dir, err = harness.TempDir(); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	if b.address, err = harness.FreeAddress(ctx); err != nil {
		return err
	}
	var start, theirs, ours, theirPeak, ourPeak, theirCPU, ourCPU []float64
	var last struct{ theirs, ours scan }
	for range b.rounds { // in turns, so that all see the same machine
		cost, err := harness.Spend(ctx, nil, b.prowler, "aws", "--list-services")
		if err != nil {
			return err
		}
		start = append(start, cost.Wall.Seconds())
		if last.theirs, err = b.theirs(ctx); err != nil {
			return err
		}
		if last.ours, err = b.ours(ctx); err != nil {
			return err
		}
		theirs, ours = append(theirs, last.theirs.Wall.Seconds()), append(ours, last.ours.Wall.Seconds())
		theirPeak, ourPeak = append(theirPeak, last.theirs.MiB()), append(ourPeak, last.ours.MiB())
		theirCPU, ourCPU = append(theirCPU, last.theirs.CPU.Seconds()), append(ourCPU, last.ours.CPU.Seconds())
	}
	r.Say("Prowler: starts in %.1f s; takes %.1f s, %.1f CPU s, %.0f MiB, %d calls", start, theirs, theirCPU, theirPeak, last.theirs.calls)
	r.Say("cloister: takes %.2f s, %.2f CPU s, %.0f MiB, %d calls", ours, ourCPU, ourPeak, last.ours.calls)
	beyond := harness.Median(theirs) - harness.Median(start)
	r.AtMost("wall / Prowler's beyond its own start, medians", harness.Median(ours)/beyond, timeBound, "x")
	r.AtMost("peak memory / Prowler's, medians", harness.Median(ourPeak)/harness.Median(theirPeak), memoryBound, "x")
	r.AtMost("calls / Prowler's", float64(last.ours.calls)/float64(last.theirs.calls), callBound, "x")
	return b.compare(r, last.theirs.verdicts, last.ours.verdicts)
}

// compare judges that both say the same of every model, and that both verdicts occur.
func (b *bench) compare(r *harness.Report, theirs, ours map[string]string) error {
	count := map[string]int{}
	differ := 0
	for arn, verdict := range ours {
		count[verdict]++
		if theirs[arn] != verdict {
			differ++
			r.Say("%s: Prowler says %q, cloister %q", arn, theirs[arn], verdict)
		}
	}
	for arn, verdict := range theirs {
		if _, ok := ours[arn]; !ok {
			differ++
			r.Say("%s: Prowler says %q, cloister nothing", arn, verdict)
		}
	}
	if count["PASS"] == 0 || count["FAIL"] == 0 {
		return errors.New("the world lacks models of one verdict: there is nothing to compare")
	}
	r.AtMost(fmt.Sprintf("models (%d PASS, %d FAIL) with another verdict than Prowler's", count["PASS"], count["FAIL"]), float64(differ), 0, "models")
	return nil
}

// on runs a program against a fake of its own; args may need the fake's regions.
func (b *bench) on(ctx context.Context, env []string, program string, args func(regions []string) []string) (s scan, err error) {
	fake, err := harness.StartFake(ctx, b.fake, append([]string{"-listen=" + b.address}, world()...)...)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, fake.Stop()) }()
	stats, err := fake.Stats(ctx)
	if err != nil {
		return s, err
	}
	if s.Cost, err = harness.Spend(ctx, append(fake.Credentials(), env...), program, args(stats.Regions)...); err != nil {
		return s, err
	}
	stats, err = fake.Stats(ctx)
	s.calls = stats.Calls
	return s, err
}

func (b *bench) ours(ctx context.Context) (scan, error) {
	file := filepath.Join(b.dir, "ours.json")
	s, err := b.on(ctx, nil, b.bin, func(regions []string) []string {
		return []string{"audit", "--quiet", "--regions", strings.Join(both(regions), ","), "--endpoint", "http://" + b.address, "--rule", "MC-MOD-001", "--rule", "MC-LOG-001", "--fail-on", "none", "--report", "json=" + file}
	})
	if err != nil {
		return s, err
	}
	var report struct {
		Results []struct{ Rule, Resource, Status string }
	}
	if err := readJSON(file, &report); err != nil {
		return s, err
	}
	s.verdicts = map[string]string{}
	for _, one := range report.Results {
		if one.Rule == "MC-MOD-001" {
			s.verdicts[one.Resource] = one.Status
		}
	}
	return s, nil
}

func (b *bench) theirs(ctx context.Context) (scan, error) {
	file := filepath.Join(b.dir, "theirs.ocsf.json")
	if err := os.RemoveAll(file); err != nil { // it would add to what is there
		return scan{}, err
	}
	s, err := b.on(ctx, []string{"AWS_ENDPOINT_URL=http://" + b.address}, b.prowler, func(regions []string) []string {
		return append([]string{"aws", "--no-banner", "--ignore-exit-code-3", "-M", "json-ocsf", "-o", b.dir, "-F", "theirs", "--checks", modelCheck, loggingCheck, "-f"}, both(regions)...)
	})
	if err != nil {
		return s, err
	}
	var findings []struct {
		Metadata struct {
			Event string `json:"event_code"`
		}
		Status    string `json:"status_code"`
		Resources []struct{ UID string }
	}
	if err := readJSON(file, &findings); err != nil {
		return s, err
	}
	s.verdicts = map[string]string{}
	for _, one := range findings {
		if one.Metadata.Event == modelCheck && len(one.Resources) == 1 {
			s.verdicts[one.Resources[0].UID] = one.Status
		}
	}
	return s, nil
}

func readJSON(file string, v any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}
