package report_test

import (
	"bytes"
	"io"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/report"
)

// benchResults is the most results that the numbers are held for.
const benchResults = 25_000

// counted counts bytes and keeps none.
type counted struct{ n int64 }

func (c *counted) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// peak runs work and returns the most memory that Go held meanwhile, report and program included, seen every millisecond:
// what was mapped less what was given back.
func peak(work func()) (mib float64) {
	debug.FreeOSMemory() // what came before does not count
	stop, done := make(chan struct{}), make(chan float64)
	go func() {
		samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		most := 0.0
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			metrics.Read(samples)
			most = max(most, float64(samples[0].Value.Uint64()-samples[1].Value.Uint64()))
			select {
			case <-stop:
				done <- most / (1 << 20)
				return
			case <-tick.C:
			}
		}
	}()
	work()
	close(stop)
	return <-done
}

// BenchmarkReports: each format of 25,000 results takes less than 5 s and 128 MiB, the report itself included.
func BenchmarkReports(b *testing.B) {
	r, err := report.Load(bytes.NewReader(saveLarge(b))) // loaded: no result shares memory with another
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%.1f MiB before", peak(func() {}))
	for _, format := range report.Formats() {
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			var out counted
			most := 0.0
			for b.Loop() {
				out.n = 0
				most = max(most, peak(func() {
					if err := report.Write(&out, format, r, report.Options{}); err != nil {
						b.Fatal(err)
					}
				}))
			}
			b.SetBytes(out.n)
			b.ReportMetric(most, "peak-MiB")
			if perOp := b.Elapsed() / time.Duration(b.N); perOp > 5*time.Second || most > 128 {
				b.Errorf("%s: %v, %.0f MiB", format, perOp, most)
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	saved := saveLarge(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(saved)))
	for b.Loop() {
		if _, err := report.Load(bytes.NewReader(saved)); err != nil {
			b.Fatal(err)
		}
	}
}

func saveLarge(b *testing.B) []byte {
	b.Helper()
	var saved bytes.Buffer
	if err := report.Save(&saved, large(benchResults)); err != nil {
		b.Fatal(err)
	}
	return saved.Bytes()
}

func BenchmarkVisible(b *testing.B) {
	for b.Loop() {
		_ = ansi.Visible(hostile)
		_, _ = io.WriteString(io.Discard, ansi.Visible("arn:aws:s3:::tuning-data"))
	}
}
