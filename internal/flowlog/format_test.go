package flowlog_test

import (
	"strings"
	"testing"

	"example.com/cloister/internal/flowlog"
)

const (
	defaultFormat = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"
	fullFormat    = defaultFormat + " ${vpc-id} ${subnet-id} ${az-id} ${flow-direction} ${pkt-srcaddr} ${pkt-dstaddr}"
)

func TestParseFormat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want, err string }{
		{"", defaultFormat, ""},
		{" ", defaultFormat, ""},
		{defaultFormat, defaultFormat, ""},
		{fullFormat, fullFormat, ""},
		{"${bytes}  ${srcaddr} ", "${bytes} ${srcaddr}", ""},
		{"${srcaddr} ${tcp-flags}", "", `"tcp-flags" is not recorded`},
		{"${instance-id}", "", `"instance-id" is not recorded`},
		{"${SRCADDR}", "", `"SRCADDR" is not recorded`},
		{"${srcaddr} ${bytes} ${srcaddr}", "", `"srcaddr" is there twice`},
		{"srcaddr", "", `"srcaddr" is not a field`},
		{"${srcaddr", "", `"${srcaddr" is not a field`},
		{"${srcaddr},${dstaddr}", "", `"srcaddr},${dstaddr" is not recorded`},
		{"${}", "", `"" is not recorded`},
	} {
		f, err := flowlog.ParseFormat(c.text)
		switch {
		case c.err == "" && (err != nil || f.String() != c.want):
			t.Errorf("ParseFormat(%q) = %q, %v, want %q", c.text, f, err, c.want)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("ParseFormat(%q) = %v, want an error with %q", c.text, err, c.err)
		}
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	accepted := flowlog.Record{Interface: iface(), Flow: get(7, 900), Start: at(3), End: at(50), Status: flowlog.OK}
	entering := accepted
	entering.Flow.Egress, entering.Flow.Accept = false, false
	entering.Flow.Source, entering.Flow.Dest = ip("10.20.1.12"), ip("10.20.1.11")
	forged := accepted
	forged.Flow.Source = ip("203.0.113.9")
	nothing := flowlog.Record{Interface: iface(), Start: at(0), End: at(60), Status: flowlog.NoData}
	bare := flowlog.Record{Interface: flowlog.Interface{ID: eni}, Start: at(0), End: at(60), Status: flowlog.SkipData}
	for _, c := range []struct {
		format string
		record flowlog.Record
		want   string
	}{
		{"", accepted, "2 123456789012 eni-0123456789abcdef0 10.20.1.11 198.18.0.1 40000 443 6 7 900 1772366403 1772366450 ACCEPT OK"},
		{"", entering, "2 123456789012 eni-0123456789abcdef0 10.20.1.12 10.20.1.11 40000 443 6 7 900 1772366403 1772366450 REJECT OK"},
		{"", nothing, "2 123456789012 eni-0123456789abcdef0 - - - - - - - 1772366400 1772366460 - NODATA"},
		{"", bare, "2 - eni-0123456789abcdef0 - - - - - - - 1772366400 1772366460 - SKIPDATA"},
		// The version is the highest of the fields', and a forged source shows in pkt-srcaddr only, as on AWS.
		{"${version} ${srcaddr} ${pkt-srcaddr}", forged, "3 10.20.1.11 203.0.113.9"},
		{"${flow-direction} ${version} ${az-id}", accepted, "egress 5 use1-az1"},
		{"${version} ${az-id} ${vpc-id} ${subnet-id}", nothing, "4 use1-az1 vpc-1 subnet-1"},
		{"${flow-direction} ${pkt-dstaddr} ${version}", nothing, "- - 5"},
		{"${flow-direction} ${pkt-dstaddr}", entering, "ingress 10.20.1.11"},
	} {
		f, err := flowlog.ParseFormat(c.format)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Line(c.record); got != c.want {
			t.Errorf("Line in %q:\n%s, want\n%s", c.format, got, c.want)
		}
	}
}

func FuzzParseFormat(f *testing.F) {
	for _, seed := range []string{"", defaultFormat, fullFormat, "${srcaddr", "${srcaddr} ${srcaddr}", "${tcp-flags}", "$\x00{\xff}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		format, err := flowlog.ParseFormat(text)
		if err != nil {
			return
		}
		again, err := flowlog.ParseFormat(format.String())
		if err != nil || again.String() != format.String() {
			t.Errorf("ParseFormat(%q) reads its own String %q as %q, %v", text, format, again, err)
		}
		header := strings.Fields(format.Header())
		for _, r := range []flowlog.Record{{Status: flowlog.NoData}, {Interface: iface(), Flow: get(1, 2), Status: flowlog.OK}} {
			if line := strings.Split(format.Line(r), " "); len(line) != len(header) {
				t.Errorf("%q has %d fields and %d names", text, len(line), len(header))
			}
		}
	})
}
