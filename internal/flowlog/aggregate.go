package flowlog

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// maxEmpty is how many intervals in a row one reading may end without any traffic. Beyond, the clock has jumped or the
// machine has slept: one SKIPDATA record stands for them all, so that a jump costs no memory.
const maxEmpty = 24 * 60

// Options say what an Aggregator records.
type Options struct {
	Interface Interface
	// Interval is the aggregation interval, 60 or 600 seconds. Intervals begin at multiples of it since 1970.
	Interval time.Duration
	Traffic  Traffic
	// Keep, if not nil, says which flows to record: Published for files, nil for the operator.
	Keep func(Flow) bool
}

// Aggregator gathers the readings of one interface into records, interval by interval. It is not safe for concurrent use.
type Aggregator struct {
	options Options
	begun   bool
	at      time.Time // up to here the readings go
	open    time.Time // where the interval that is not complete begins, or the first reading within it
	windows map[int64]*window
}

// window is what is known of one interval.
type window struct {
	flows map[tuple]*Record
	skip  bool
}

// tuple is what one record is of: the 5-tuple, direction and action.
type tuple Flow

// NewAggregator returns an aggregator without readings. An error says which option is wrong.
func NewAggregator(o Options) (*Aggregator, error) {
	if o.Interval != time.Minute && o.Interval != 10*time.Minute {
		return nil, fmt.Errorf("aggregation interval of %v: use 60 or 600 seconds", o.Interval)
	}
	if o.Traffic != All && o.Traffic != Accept && o.Traffic != Reject {
		return nil, fmt.Errorf("traffic type %q: use ACCEPT, REJECT or ALL", o.Traffic)
	}
	if o.Interface.ID == "" {
		return nil, errors.New("flow log without an interface: give its id")
	}
	return &Aggregator{options: o, windows: map[int64]*window{}}, nil
}

// Add takes a reading and returns the records of the intervals that it completes, in order. Flows of other interfaces
// are passed over. Readings come in order; time between two of them is recorded as SKIPDATA, and time that was read
// already counts as now, so that a clock set back loses nothing.
func (a *Aggregator) Add(r Reading) []Record {
	if !a.begun {
		a.begun, a.at, a.open = true, r.From, r.From
	}
	from, to := later(r.From, a.at), later(r.To, a.at)
	to = later(to, from)
	if from.After(a.at) {
		a.skip(a.at, from)
	}
	if r.Full {
		a.skip(from, to)
	}
	for _, f := range r.Flows {
		if f.Interface == a.options.Interface.ID {
			a.add(f, from, to)
		}
	}
	a.at = to
	return a.complete(a.index(to))
}

// Close returns the records of the interval that is not complete, which end with the last reading. It is for an interface
// that is gone; a reading after it begins a new interval.
func (a *Aggregator) Close() []Record {
	if !a.begun {
		return nil
	}
	records := a.complete(a.index(a.at))
	if last, ok := a.windows[a.index(a.at)]; ok || a.at.After(a.open) {
		records = append(records, a.emit(last, a.at)...)
	}
	clear(a.windows)
	a.begun = false
	return records
}

// add counts f, which was read at to, in the interval of its last packet.
func (a *Aggregator) add(f Flow, from, to time.Time) {
	if !a.options.Traffic.keeps(f) || (a.options.Keep != nil && !a.options.Keep(f)) {
		return
	}
	first, last := f.First, f.Last
	if first.IsZero() {
		first = from
	}
	// A packet that was read when an interval ended was in it.
	if last.IsZero() || !last.Before(to) {
		last = to.Add(-1)
	}
	last = later(last, from)
	first = later(earlier(first, last), from)
	n := a.index(last)
	first = later(first, a.begin(n))

	w := a.window(n)
	key := f
	key.Packets, key.Bytes, key.First, key.Last = 0, 0, time.Time{}, time.Time{}
	r, ok := w.flows[tuple(key)]
	if !ok {
		r = &Record{Interface: a.options.Interface, Flow: key, Start: first.Truncate(time.Second), End: last.Truncate(time.Second), Status: OK}
		w.flows[tuple(key)] = r
	}
	r.Flow.Packets += f.Packets
	r.Flow.Bytes += f.Bytes
	r.Start = earlier(r.Start, first.Truncate(time.Second))
	r.End = later(r.End, last.Truncate(time.Second))
}

// skip says that something is missing between from and to, in every interval that they touch.
func (a *Aggregator) skip(from, to time.Time) {
	first, last := a.index(from), a.index(later(to.Add(-1), from))
	if last-first > maxEmpty { // complete writes one record for what lies between
		a.window(first).skip, a.window(last).skip = true, true
		return
	}
	for n := first; n <= last; n++ {
		a.window(n).skip = true
	}
}

// complete takes the records of the intervals before n.
func (a *Aggregator) complete(n int64) []Record {
	var records []Record
	for next := a.index(a.open); next < n; next = a.index(a.open) {
		end := a.begin(next + 1)
		if jump := a.nextWindow(next, n); jump-next > maxEmpty {
			end = a.begin(jump)
			records = append(records, a.record(SkipData, end))
			a.open = end
			continue
		}
		records = append(records, a.emit(a.windows[next], end)...)
		delete(a.windows, next)
	}
	return records
}

// nextWindow is the first interval from at on of which something is known, or n.
func (a *Aggregator) nextWindow(at, n int64) int64 {
	if _, ok := a.windows[at]; ok {
		return at
	}
	for known := range a.windows {
		if known >= at {
			n = min(n, known)
		}
	}
	return n
}

// emit takes the records of the interval that ends at end, of which w is known, and opens the next.
func (a *Aggregator) emit(w *window, end time.Time) []Record {
	var records []Record
	if w != nil {
		for _, key := range slices.SortedFunc(maps.Keys(w.flows), compare) {
			records = append(records, *w.flows[key])
		}
	}
	switch {
	case w != nil && w.skip:
		records = append(records, a.record(SkipData, end))
	case len(records) == 0:
		records = append(records, a.record(NoData, end))
	}
	a.open = end
	return records
}

// record is one without a flow, from the begin of the open interval to end.
func (a *Aggregator) record(status Status, end time.Time) Record {
	return Record{Interface: a.options.Interface, Start: a.open.Truncate(time.Second), End: end.Truncate(time.Second), Status: status}
}

func (a *Aggregator) window(n int64) *window {
	w, ok := a.windows[n]
	if !ok {
		w = &window{flows: map[tuple]*Record{}}
		a.windows[n] = w
	}
	return w
}

// index is the number of the interval that t is in; the first began in 1970.
func (a *Aggregator) index(t time.Time) int64 {
	seconds := int64(a.options.Interval / time.Second)
	n := t.Unix() / seconds
	if t.Unix()%seconds < 0 {
		n--
	}
	return n
}

// begin is when interval n begins.
func (a *Aggregator) begin(n int64) time.Time {
	return time.Unix(n*int64(a.options.Interval/time.Second), 0).UTC()
}

// compare orders the records of an interval: by destination, then source, so that a file's neighbours are related.
func compare(x, y tuple) int {
	return cmp.Or(
		x.Dest.Compare(y.Dest), x.Source.Compare(y.Source),
		cmp.Compare(x.Protocol, y.Protocol), cmp.Compare(x.Port, y.Port), cmp.Compare(x.SourcePort, y.SourcePort),
		truth(x.Egress, y.Egress), truth(x.Accept, y.Accept),
	)
}

func truth(x, y bool) int {
	switch {
	case x == y:
		return 0
	case x:
		return -1
	}
	return 1
}

func earlier(x, y time.Time) time.Time {
	if y.Before(x) {
		return y
	}
	return x
}

func later(x, y time.Time) time.Time {
	if y.After(x) {
		return y
	}
	return x
}
