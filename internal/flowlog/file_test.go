package flowlog_test

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/flowlog"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func place() flowlog.Place {
	return flowlog.Place{Account: "123456789012", Region: "us-east-1", FlowLog: "fl-0123456789abcdef0", Prefix: "/logs/vpc/"}
}

// sample is a minute of a job: it reads its data, asks the resolver, tries the internet, and forges an address.
func sample(t *testing.T) []flowlog.Record {
	t.Helper()
	a := aggregator(t, time.Minute, flowlog.All, nil)
	back := get(900, 5_000_000)
	back.Source, back.Dest, back.SourcePort, back.Port, back.Egress = back.Dest, back.Source, back.Port, back.SourcePort, false
	out := get(3, 180)
	out.Dest, out.Accept = ip("203.0.113.10"), false
	ping := out
	ping.Protocol, ping.SourcePort, ping.Port = 1, 0, 0
	forged := out
	forged.Source = ip("203.0.113.9")
	records := a.Add(flowlog.Reading{From: at(0), To: at(60), Flows: []flowlog.Flow{get(400, 30_000), back, out, ping, forged}})
	records = append(records, a.Add(flowlog.Reading{From: at(60), To: at(120), Full: true})...)
	return append(records, a.Add(flowlog.Reading{From: at(120), To: at(180)})...)
}

func parse(t *testing.T, text string) flowlog.Format {
	t.Helper()
	f, err := flowlog.ParseFormat(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFile(t *testing.T) {
	t.Parallel()
	for name, format := range map[string]string{"default": "", "full": fullFormat} {
		key, gz := place().File(at(60), sample(t), parse(t, format))
		r, err := gzip.NewReader(bytes.NewReader(gz))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		// No time, no name, the system unknown: RFC 1952, section 2.3. The compressed bytes are Go's to choose.
		if header := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}; !bytes.HasPrefix(gz, header) {
			t.Errorf("%s: the file begins with % x, want % x", name, gz[:10], header)
		}
		got := key + "\n" + string(text)
		golden := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if again, bytes2 := place().File(at(60), sample(t), parse(t, format)); again != key || !bytes.Equal(bytes2, gz) {
			t.Errorf("%s: the same records make another file", name)
		}
		if other, _ := place().File(at(60), sample(t)[1:], parse(t, format)); other == key {
			t.Errorf("%s: other records make the same key", name)
		}
	}
}

func TestFileKey(t *testing.T) {
	t.Parallel()
	p := place()
	east := time.FixedZone("", 3600)
	for prefix, want := range map[string]string{"": "AWSLogs/123456789012/", "a": "a/AWSLogs/123456789012/", "a/b/": "a/b/AWSLogs/123456789012/"} {
		p.Prefix = prefix
		key, _ := p.File(time.Date(2026, 3, 1, 0, 30, 0, 0, east), nil, flowlog.Format{})
		want += "vpcflowlogs/us-east-1/2026/02/28/123456789012_vpcflowlogs_us-east-1_fl-0123456789abcdef0_20260228T2330Z_"
		if !strings.HasPrefix(key, want) || !strings.HasSuffix(key, ".log.gz") {
			t.Errorf("key with prefix %q = %s, want %s….log.gz", prefix, key, want)
		}
	}
}

// python runs a program of the stock clients' environment, which make setup installs.
func python(t *testing.T, program string, stdin []byte) []byte {
	t.Helper()
	dir := os.Getenv("CLOISTER_CLIENTS")
	if dir == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("CLOISTER_CLIENTS is not set (make setup installs the clients)")
		}
		t.Skip("SKIPPED: CLOISTER_CLIENTS is not set (make setup installs the clients)")
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "python"), "-W", "ignore", "-c", program)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		t.Fatalf("python: %v\n%s", err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestReaderReadsFiles: PyPI's flowlogs-reader finds the file by its key, in a bucket that a stub holds, and reads every
// record of it as it was meant.
func TestReaderReadsFiles(t *testing.T) {
	t.Parallel()
	const program = `
import io, json, sys
from calendar import timegm
from datetime import datetime
from flowlogs_reader import S3FlowLogsReader

bucket = {name: bytes.fromhex(data) for name, data in json.load(sys.stdin).items()}

class Bucket:
    def list_objects_v2(self, Bucket, Prefix, Delimiter=None):
        names = [n for n in bucket if n.startswith(Prefix)]
        if Delimiter is None:
            return {"Contents": [{"Key": n} for n in names]}
        return {"CommonPrefixes": [{"Prefix": p} for p in sorted({Prefix + n[len(Prefix):].split(Delimiter)[0] + Delimiter for n in names})]}
    def get_paginator(self, name):
        assert name == "list_objects_v2"
        page = type("Pages", (), {})()
        page.paginate = lambda **kw: [self.list_objects_v2(**kw)]
        return page
    def get_object(self, Bucket, Key):
        return {"Body": io.BytesIO(bucket[Key]), "ContentLength": len(bucket[Key])}

reader = S3FlowLogsReader("bucket/logs/vpc", include_accounts=["123456789012"], include_regions=["us-east-1"], boto_client=Bucket(),
    start_time=datetime(2026, 3, 1, 12, 0), end_time=datetime(2026, 3, 1, 12, 2), raise_on_error=True)
for record in reader:
    values = record.to_dict()
    for bound in "start", "end":
        values[bound] = timegm(values[bound].utctimetuple())
    print(json.dumps(values))
`
	for _, text := range []string{"", fullFormat, "${end} ${start} ${pkt-dstaddr} ${bytes} ${log-status}"} {
		format, records := parse(t, text), sample(t)
		key, gz := place().File(at(60), records, format)
		input, err := json.Marshal(map[string]string{key: hex.EncodeToString(gz)})
		if err != nil {
			t.Fatal(err)
		}
		names := strings.Fields(strings.ReplaceAll(format.Header(), "-", "_"))
		n := 0
		for line := range bytes.Lines(python(t, program, input)) {
			dec := json.NewDecoder(bytes.NewReader(line))
			dec.UseNumber()
			var got map[string]any
			if err := dec.Decode(&got); err != nil {
				t.Fatal(err)
			}
			for i, want := range strings.Fields(format.Line(records[n])) {
				value := "-"
				switch v := got[names[i]].(type) {
				case string:
					value = v
				case json.Number:
					value = v.String()
				}
				if value != want {
					t.Errorf("record %d: the reader's %s = %s, want %s", n, names[i], value, want)
				}
			}
			n++
		}
		if n != len(records) {
			t.Errorf("the reader found %d records in %q, want %d", n, text, len(records))
		}
	}
}
