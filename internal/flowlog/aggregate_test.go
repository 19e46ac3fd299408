package flowlog_test

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/flowlog"
)

func aggregator(t *testing.T, interval time.Duration, traffic flowlog.Traffic, keep func(flowlog.Flow) bool) *flowlog.Aggregator {
	t.Helper()
	a, err := flowlog.NewAggregator(flowlog.Options{Interface: iface(), Interval: interval, Traffic: traffic, Keep: keep})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// short writes records as "flow@start-end packets/bytes", in seconds of the day's hour, or as their status.
func short(records []flowlog.Record) []string {
	format, _ := flowlog.ParseFormat("${start} ${end} ${dstport} ${packets} ${bytes} ${action} ${log-status}")
	base := at(0).Unix()
	var lines []string
	for _, r := range records {
		r.Start, r.End = r.Start.Add(-time.Duration(base)*time.Second), r.End.Add(-time.Duration(base)*time.Second)
		lines = append(lines, strings.ReplaceAll(format.Line(r), " -", ""))
	}
	return lines
}

func TestAggregator(t *testing.T) {
	t.Parallel()
	seen := func(f flowlog.Flow, first, last float64) flowlog.Flow {
		f.First, f.Last = at(first), at(last)
		return f
	}
	refused := func(f flowlog.Flow) flowlog.Flow {
		f.Accept = false
		return f
	}
	entering := func(f flowlog.Flow) flowlog.Flow {
		f.Egress = false
		return f
	}
	other := get(99, 99)
	other.Interface = "eni-other"
	read := func(from, to float64, flows ...flowlog.Flow) flowlog.Reading {
		return flowlog.Reading{From: at(from), To: at(to), Flows: flows}
	}
	full := func(r flowlog.Reading) flowlog.Reading {
		r.Full = true
		return r
	}
	for _, c := range []struct {
		name     string
		interval time.Duration
		traffic  flowlog.Traffic
		keep     func(flowlog.Flow) bool
		readings []flowlog.Reading
		want     []string
	}{
		{name: "nothing", readings: []flowlog.Reading{read(0, 60)}, want: []string{"0 60 NODATA"}},
		{name: "no reading"},
		{name: "an interval that is not complete", readings: []flowlog.Reading{read(5, 10, get(1, 60))}, want: []string{"5 9 443 1 60 ACCEPT OK"}},
		{
			name:     "two readings of one flow are one record",
			readings: []flowlog.Reading{read(0, 10, seen(get(1, 60), 2, 9)), read(10, 60, seen(get(2, 90), 10, 31.5))},
			want:     []string{"2 31 443 3 150 ACCEPT OK"},
		},
		{
			name:     "direction and action part records",
			readings: []flowlog.Reading{read(0, 60, seen(get(1, 60), 1, 2), seen(refused(get(2, 80)), 1, 2), seen(entering(get(3, 90)), 1, 2))},
			want:     []string{"1 2 443 1 60 ACCEPT OK", "1 2 443 2 80 REJECT OK", "1 2 443 3 90 ACCEPT OK"},
		},
		{
			name: "the last packet decides the interval, whose begin bounds the start",
			readings: []flowlog.Reading{
				read(0, 50), read(50, 70, seen(get(1, 60), 52, 66), seen(refused(get(2, 60)), 52, 58)), read(70, 120),
			},
			want: []string{"52 58 443 2 60 REJECT OK", "60 66 443 1 60 ACCEPT OK"},
		},
		{name: "a packet that was read at the interval's end was in it", readings: []flowlog.Reading{read(50, 60, seen(get(1, 60), 55, 60))}, want: []string{"55 59 443 1 60 ACCEPT OK"}},
		{name: "ten minutes", interval: 10 * time.Minute, readings: []flowlog.Reading{read(0, 300, get(1, 60)), read(300, 601, get(1, 60))}, want: []string{"0 299 443 1 60 ACCEPT OK", "600 600 443 1 60 ACCEPT OK"}},
		{name: "a late start", readings: []flowlog.Reading{read(42, 60), read(60, 120)}, want: []string{"42 60 NODATA", "60 120 NODATA"}},
		{name: "a full set", readings: []flowlog.Reading{full(read(0, 60, get(1, 60))), read(60, 120)}, want: []string{"0 59 443 1 60 ACCEPT OK", "0 60 SKIPDATA", "60 120 NODATA"}},
		{name: "a full set across intervals", readings: []flowlog.Reading{full(read(50, 70))}, want: []string{"50 60 SKIPDATA", "60 70 SKIPDATA"}},
		{name: "time that nobody read", readings: []flowlog.Reading{read(0, 30), read(50, 130)}, want: []string{"0 60 SKIPDATA", "60 120 NODATA", "120 130 NODATA"}},
		{name: "a clock set back", readings: []flowlog.Reading{read(0, 70, get(1, 60)), read(10, 20, get(2, 60)), read(20, 125)}, want: []string{"0 60 NODATA", "60 70 443 3 120 ACCEPT OK", "120 125 NODATA"}},
		{name: "another interface", readings: []flowlog.Reading{read(0, 60, other)}, want: []string{"0 60 NODATA"}},
		{name: "ACCEPT", traffic: flowlog.Accept, readings: []flowlog.Reading{read(0, 60, get(1, 60), refused(get(2, 60)))}, want: []string{"0 59 443 1 60 ACCEPT OK"}},
		{name: "REJECT", traffic: flowlog.Reject, readings: []flowlog.Reading{read(0, 60, get(1, 60), refused(get(2, 60)))}, want: []string{"0 59 443 2 60 REJECT OK"}},
		{name: "ACCEPT of refusals only", traffic: flowlog.Accept, readings: []flowlog.Reading{read(0, 60, refused(get(2, 60)))}, want: []string{"0 60 NODATA"}},
		{
			name: "kept flows", keep: func(f flowlog.Flow) bool { return f.Packets > 1 },
			readings: []flowlog.Reading{read(0, 60, get(1, 60), refused(get(2, 60)))}, want: []string{"0 59 443 2 60 REJECT OK"},
		},
		{
			name:     "a year asleep",
			readings: []flowlog.Reading{read(0, 30, get(1, 60)), read(31536000, 31536010, get(1, 60))},
			want:     []string{"0 29 443 1 60 ACCEPT OK", "0 60 SKIPDATA", "60 31535940 SKIPDATA", "31535940 31536000 SKIPDATA", "31536000 31536009 443 1 60 ACCEPT OK"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			interval, traffic := c.interval, c.traffic
			if interval == 0 {
				interval = time.Minute
			}
			if traffic == "" {
				traffic = flowlog.All
			}
			a := aggregator(t, interval, traffic, c.keep)
			var got []flowlog.Record
			for _, r := range c.readings {
				got = append(got, a.Add(r)...)
			}
			got = append(got, a.Close()...)
			if diff := cmp.Diff(c.want, short(got)); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if again := a.Close(); again != nil {
				t.Errorf("Close again = %v", short(again))
			}
		})
	}
}

func TestNewAggregatorRefuses(t *testing.T) {
	t.Parallel()
	good := flowlog.Options{Interface: iface(), Interval: time.Minute, Traffic: flowlog.All}
	for want, change := range map[string]func(*flowlog.Options){
		"60 or 600":         func(o *flowlog.Options) { o.Interval = 5 * time.Minute },
		"ACCEPT, REJECT":    func(o *flowlog.Options) { o.Traffic = "all" },
		"without an interf": func(o *flowlog.Options) { o.Interface.ID = "" },
	} {
		o := good
		change(&o)
		if _, err := flowlog.NewAggregator(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewAggregator(%+v) = %v, want an error with %q", o, err, want)
		}
	}
}

// TestConservation: whatever the readings, their packets and bytes are in the records once, under the right tuple; records
// lie within the interval they belong to; and every interval has one.
func TestConservation(t *testing.T) {
	t.Parallel()
	type sums map[flowlog.Flow][2]uint64
	count := func(s sums, f flowlog.Flow) {
		key := f
		key.Packets, key.Bytes, key.First, key.Last = 0, 0, time.Time{}, time.Time{}
		s[key] = [2]uint64{s[key][0] + f.Packets, s[key][1] + f.Bytes}
	}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 5))
		interval := []time.Duration{time.Minute, 10 * time.Minute}[r.IntN(2)]
		a := aggregator(t, interval, flowlog.All, nil)
		want, got := sums{}, sums{}
		covered := map[int64]bool{}
		take := func(records []flowlog.Record) {
			for _, record := range records {
				first, last := record.Start.Unix()/int64(interval.Seconds()), record.End.Unix()/int64(interval.Seconds())
				if record.Status == flowlog.OK {
					count(got, record.Flow)
				}
				if last != first && (record.Status == flowlog.OK || record.End.Unix()%int64(interval.Seconds()) != 0) {
					t.Errorf("seed %d: a record from %v to %v with intervals of %v", seed, record.Start, record.End, interval)
				}
				if record.End.Before(record.Start) {
					t.Errorf("seed %d: a record ends %v before its start %v", seed, record.End, record.Start)
				}
				covered[first] = true
			}
		}
		now := r.Float64() * 100
		begin := time.Time{}
		for range 1 + r.IntN(60) {
			from := now - r.Float64()*2 // clocks are set back, and readings are missed
			if r.IntN(10) == 0 {
				from = now + r.Float64()*200
			}
			to := from + r.Float64()*30
			reading := flowlog.Reading{From: at(from), To: at(to), Full: r.IntN(20) == 0}
			for range r.IntN(6) {
				f := flowlog.Flow{
					Interface: eni, Source: netip.AddrFrom4([4]byte{10, 20, 1, byte(r.IntN(2))}), Dest: netip.AddrFrom4([4]byte{10, 20, 1, byte(r.IntN(2))}),
					SourcePort: uint16(r.IntN(2)), Port: uint16(r.IntN(2)), Protocol: []uint8{6, 17}[r.IntN(2)], Egress: r.IntN(2) == 0, Accept: r.IntN(2) == 0,
					Packets: r.Uint64N(1 << 40), Bytes: r.Uint64N(1 << 50),
				}
				if r.IntN(2) == 0 { // bounds may even lie outside of the reading
					f.First, f.Last = at(from+r.Float64()*40-5), at(from+r.Float64()*40-5)
				}
				count(want, f)
				reading.Flows = append(reading.Flows, f)
			}
			if begin.IsZero() {
				begin = reading.From
			}
			take(a.Add(reading))
			now = max(now, to)
		}
		take(a.Close())
		if diff := cmp.Diff(want, got, cmp.Comparer(func(x, y netip.Addr) bool { return x == y })); diff != "" {
			t.Errorf("seed %d (-readings +records):\n%s", seed, diff)
		}
		for n := range covered {
			if first := begin.Unix() / int64(interval.Seconds()); n != first && !covered[n-1] {
				t.Errorf("seed %d: interval %d has no record", seed, n-1)
			}
		}
	}
}
