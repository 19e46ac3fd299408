package collect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/tape"
)

const (
	here   = "/accounts/" + account + "/regions/us-east-1"
	job    = "arn:aws:bedrock:us-east-1:" + account + ":model-customization-job/amazon.nova-micro-v1:0:128k/q4ad8z8tioq8"
	model  = "arn:aws:bedrock:us-east-1:" + account + ":custom-model/amazon.nova-micro-v1:0:128k/w4vtut9aq95n"
	triage = "arn:aws:bedrock:us-east-1:" + account + ":custom-model/amazon.nova-micro-v1:0:128k/k7c2m9x4b1za"
)

// resource is one of an answer of the index.
type resource struct {
	ResourceARN string `json:",omitempty"`
	Tags        []map[string]string
}

func tags(pairs ...string) []map[string]string {
	list := []map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, map[string]string{"Key": pairs[i], "Value": pairs[i+1]})
	}
	return list
}

// index is a fake whose index of tags gives one answer to everything.
func index(next tape.Doer, answer any) doer {
	return func(req *http.Request) (*http.Response, error) {
		resp, err := next.Do(req)
		if err != nil || !strings.HasSuffix(req.Header.Get("X-Amz-Target"), ".GetResources") {
			return resp, err
		}
		text, err := json.Marshal(answer)
		if err != nil {
			return nil, err
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		resp.Header.Set("Content-Length", strconv.Itoa(len(text)))
		return resp, nil
	}
}

// told are the owners in the tags of a region's jobs and models by ARN, with who said so or why nobody did.
func told(g *posture.Region) map[string]string {
	found := map[string]string{}
	say := func(arn string, d posture.Datum[map[string]string]) {
		have, ok := d.Read()
		switch {
		case ok:
			found[arn] = d.Source().Operation + " " + have["owner"]
		case d.Why() != nil:
			found[arn] = d.Why().Operation + " " + d.Why().Code
		default:
			found[arn] = "nobody"
		}
	}
	for _, j := range g.Jobs.Items {
		say(j.ARN, j.Tags)
	}
	for _, m := range g.Models.Items {
		say(m.ARN, m.Tags)
	}
	return found
}

// TestTagsByIndex: tags are what the index names, of what was asked for; all else is asked of Bedrock. The good world has three
// resources, whose tags say that their owner is ml-platform; an answer of the test says another one.
func TestTagsByIndex(t *testing.T) {
	t.Parallel()
	const byIndex, byBedrock, broken = "tag:GetResources ", "bedrock:ListTagsForResource ml-platform", "tag:GetResources Malformed"
	type list map[string]any
	of := func(resources ...resource) list { return list{"ResourceTagMappingList": resources} }
	named := func(arn, owner string) resource { return resource{arn, tags("owner", owner)} }
	same := func(who string) map[string]string { return map[string]string{job: who, model: who, triage: who} }
	for _, c := range []struct {
		name   string
		answer any // nil leaves the fake's own
		want   map[string]string
		asked  int // of Bedrock
	}{
		{"its own", nil, same(byIndex + "ml-platform"), 0},
		{"all", of(named(job, "a"), named(model, "b"), named(triage, "c")), map[string]string{job: byIndex + "a", model: byIndex + "b", triage: byIndex + "c"}, 0},
		{"some", of(named(model, "b")), map[string]string{job: byBedrock, model: byIndex + "b", triage: byBedrock}, 2},
		{"none", of(), same(byBedrock), 3},
		{"without tags", of(resource{ResourceARN: job, Tags: tags()}, named(model, "b"), resource{ResourceARN: triage}), map[string]string{job: byBedrock, model: byIndex + "b", triage: byBedrock}, 2},
		{"a value that is empty", of(named(job, ""), named(model, "b"), named(triage, "c")), map[string]string{job: byIndex, model: byIndex + "b", triage: byIndex + "c"}, 0},
		{"more to come", list{"PaginationToken": "more", "ResourceTagMappingList": []resource{named(job, "a")}}, map[string]string{job: byIndex + "a", model: byBedrock, triage: byBedrock}, 2},
		{"nothing", list{}, same(byBedrock), 3},
		{"a stranger", of(named(job, "a"), named(strings.Replace(model, "w4vtut9aq95n", "an0th3ran0th", 1), "b")), same(broken), 0},
		{"another region's", of(named(strings.Replace(job, "us-east-1", "eu-west-1", 1), "a")), same(broken), 0},
		{"one twice", of(named(job, "a"), named(job, "b")), same(broken), 0},
		{"no name", of(resource{Tags: tags("owner", "a")}), same(broken), 0},
		{"no key", of(resource{job, []map[string]string{{"Value": "a"}}}), same(broken), 0},
		{"another form", list{"ResourceTagMappingList": "all"}, same(broken), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := awsfake.New(good(t), awsfake.Options{Now: now})
			var next tape.Doer = server.HTTPClient()
			if c.answer != nil {
				next = index(next, c.answer)
			}
			got := told(collected(t, options(t, next)).Inventory.Accounts[0].Regions[1])
			if !maps.Equal(got, c.want) {
				t.Errorf("tags are of %v, want %v", got, c.want)
			}
			if n := counts(server); n["tag:GetResources"] != 1 || n["bedrock:ListTagsForResource"] != c.asked {
				t.Errorf("the index was asked %d times, Bedrock %d, want 1 and %d", n["tag:GetResources"], n["bedrock:ListTagsForResource"], c.asked)
			}
		})
	}
}

// TestTagsUnread: an index that fails is not got round: the tags are unread, with what AWS said.
func TestTagsUnread(t *testing.T) {
	t.Parallel()
	for kind, want := range map[awsfake.Kind]string{
		awsfake.AccessDenied: "AccessDeniedException", awsfake.Throttle: "ThrottledException", awsfake.Timeout: posture.CodeTimeout,
		awsfake.HTML500: posture.CodeMalformed, awsfake.Truncated: posture.CodeMalformed,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := awsfake.New(good(t), awsfake.Options{Now: now, Faults: []awsfake.Fault{{Service: "tag", Kind: kind}}})
				o := options(t, server.HTTPClient())
				o.MaxAttempts = 2
				why := collected(t, o).Inventory.Accounts[0].Regions[1].Models.Items[0].Tags.Why()
				if why == nil || why.Operation != "tag:GetResources" || why.Code != want || why.Region != "us-east-1" || why.Message == "" {
					t.Fatalf("why is %+v", why)
				}
				if kind != awsfake.Timeout && why.RequestID == "" {
					t.Error("no request id")
				}
				if n := counts(server)["bedrock:ListTagsForResource"]; n > 0 {
					t.Errorf("Bedrock was asked %d times", n)
				}
			})
		})
	}
}

// TestTagsByTheHundred: one GetResources names a hundred resources at most, and one resource is asked of Bedrock itself.
func TestTagsByTheHundred(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ resources, index, bedrock int }{
		{0, 0, 0}, {1, 0, 1}, {2, 1, 0}, {100, 1, 0}, {101, 1, 1}, {102, 2, 0}, {250, 3, 0},
	} {
		jobs := make([]any, c.resources)
		for i := range jobs {
			jobs[i] = map[string]any{
				"jobArn": fmt.Sprintf("%s%012d", strings.TrimSuffix(job, "q4ad8z8tioq8"), i), "jobName": fmt.Sprint("job-", i), "status": "Completed",
				"creationTime": "2026-11-20T08:00:00Z", "tags": map[string]any{"owner": fmt.Sprint("team-", i)},
			}
		}
		server := awsfake.New(good(t, awsfake.Patch{Path: here + "/jobs", Set: jobs}), awsfake.Options{Now: now})
		o := options(t, server.HTTPClient())
		o.Wanted = map[string]bool{"bedrock:ListModelCustomizationJobs": true, "bedrock:ListTagsForResource": true, "tag:GetResources": true}
		g := collected(t, o).Inventory.Accounts[0].Regions[1]
		if len(g.Jobs.Items) != c.resources {
			t.Fatalf("%d jobs, want %d", len(g.Jobs.Items), c.resources)
		}
		for _, j := range g.Jobs.Items {
			if have, _ := j.Tags.Read(); have["owner"] != "team-"+strings.TrimPrefix(j.Name, "job-") {
				t.Errorf("of %d: job %s has the tags %v", c.resources, j.Name, have)
			}
		}
		if n := counts(server); n["tag:GetResources"] != c.index || n["bedrock:ListTagsForResource"] != c.bedrock {
			t.Errorf("%d resources: the index was asked %d times, Bedrock %d, want %d and %d", c.resources, n["tag:GetResources"], n["bedrock:ListTagsForResource"], c.index, c.bedrock)
		}
	}
}

// TestTagsWithoutIndex: where there is no index beside Bedrock, Bedrock is asked; and again in a replay.
func TestTagsWithoutIndex(t *testing.T) {
	t.Parallel()
	capabilities := `{"version": "1", "regions": ["us-east-1"], "operations": {"bedrock": ["ListModelCustomizationJobs", "ListCustomModels", "ListTagsForResource"]}}`
	for _, c := range []struct {
		name         string
		session      func(*collect.Session)
		capabilities string
		index        int
	}{
		{"one endpoint", func(*collect.Session) {}, "", 1},
		{"an endpoint that does not serve it", func(*collect.Session) {}, capabilities, 0},
		{"an endpoint of Bedrock alone", func(s *collect.Session) { s.Endpoints = map[string]string{"bedrock": "http://bedrock.test"} }, "", 0},
		{"an endpoint of its own", func(s *collect.Session) {
			s.Endpoints = map[string]string{"bedrock": "http://bedrock.test", "tag": "http://tag.test"}
		}, capabilities, 1},
		{"AWS", func(s *collect.Session) { s.Endpoints = nil }, "", 1},
		{"FIPS", func(s *collect.Session) { s.Endpoints, s.FIPS = nil, true }, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := awsfake.New(good(t), awsfake.Options{Now: now})
			fake := server.HTTPClient()
			o := options(t, doer(func(req *http.Request) (*http.Response, error) {
				if req.URL.Path != "/_cloister/capabilities" || c.capabilities == "" {
					return fake.Do(req)
				}
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(c.capabilities)), Request: req}, nil
			}))
			c.session(&o.Session)
			dir := filepath.Join(t.TempDir(), "recording")
			var err error
			if o.Recorder, err = tape.Record(dir, true); err != nil {
				t.Fatal(err)
			}
			first := owners(collected(t, o).Inventory)
			if n := counts(server)["tag:GetResources"]; n != c.index {
				t.Errorf("the index was asked %d times, want %d", n, c.index)
			}
			if !slices.Equal(first, []string{"ml-platform", "ml-platform", "ml-platform"}) {
				t.Errorf("the owners are %v", first)
			}
			replay := options(t, nil)
			replay.Manifest = &collect.Manifest{}
			if replay.Player, err = tape.Play(dir, replay.Manifest); err != nil {
				t.Fatal(err)
			}
			if got := owners(collected(t, replay).Inventory); !slices.Equal(got, first) {
				t.Errorf("in a replay the owners are %v", got)
			}
		})
	}
}

func owners(inventory *posture.Inventory) (found []string) {
	for _, g := range inventory.Accounts[0].Regions {
		for _, who := range told(g) {
			_, owner, _ := strings.Cut(who, " ")
			found = append(found, owner)
		}
	}
	return found
}
