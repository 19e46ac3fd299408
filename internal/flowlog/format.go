package flowlog

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Format is the fields of a record, in order. The zero Format is the default one, AWS's version 2.
type Format struct {
	fields []field
}

// field is one field of a record: the version of flow logs that brought it, and its value.
type field struct {
	name    string
	version int
	value   func(Record) string
}

// fields are those that can be recorded. The first 14 are the default format. version's own value is the format's.
func fields() []field {
	return []field{
		{"version", 2, nil},
		{"account-id", 2, func(r Record) string { return r.Interface.Account }},
		{"interface-id", 2, func(r Record) string { return r.Interface.ID }},
		{"srcaddr", 2, flow(source)},
		{"dstaddr", 2, flow(dest)},
		{"srcport", 2, flow(func(r Record) string { return number(r.Flow.SourcePort) })},
		{"dstport", 2, flow(func(r Record) string { return number(r.Flow.Port) })},
		{"protocol", 2, flow(func(r Record) string { return number(r.Flow.Protocol) })},
		{"packets", 2, flow(func(r Record) string { return number(r.Flow.Packets) })},
		{"bytes", 2, flow(func(r Record) string { return number(r.Flow.Bytes) })},
		{"start", 2, func(r Record) string { return epoch(r.Start) }},
		{"end", 2, func(r Record) string { return epoch(r.End) }},
		{"action", 2, flow(func(r Record) string { return action(r.Flow) })},
		{"log-status", 2, func(r Record) string { return string(r.Status) }},
		{"vpc-id", 3, func(r Record) string { return r.Interface.VPC }},
		{"subnet-id", 3, func(r Record) string { return r.Interface.Subnet }},
		{"pkt-srcaddr", 3, flow(func(r Record) string { return address(r.Flow.Source) })},
		{"pkt-dstaddr", 3, flow(func(r Record) string { return address(r.Flow.Dest) })},
		{"az-id", 4, func(r Record) string { return r.Interface.Zone }},
		{"flow-direction", 5, flow(func(r Record) string { return direction(r.Flow) })},
	}
}

const defaultFields = 14

// ParseFormat reads a log format as CreateFlowLogs takes it, such as "${version} ${srcaddr}"; "" is the default format.
// An error names the first field that is not recorded, or is there twice.
func ParseFormat(text string) (Format, error) {
	known := fields()
	var format Format
	for word := range strings.FieldsSeq(text) {
		name, ok := strings.CutPrefix(word, "${")
		if ok {
			name, ok = strings.CutSuffix(name, "}")
		}
		if !ok {
			return Format{}, fmt.Errorf("log format: %q is not a field: write fields as ${srcaddr}, separated by spaces", word)
		}
		named := func(f field) bool { return f.name == name }
		at := slices.IndexFunc(known, named)
		if at < 0 {
			return Format{}, fmt.Errorf("log format: field %q is not recorded: use %s", name, names(known, ", "))
		}
		if slices.ContainsFunc(format.fields, named) {
			return Format{}, fmt.Errorf("log format: field %q is there twice: name it once", name)
		}
		format.fields = append(format.fields, known[at])
	}
	return format, nil
}

// String returns the format as CreateFlowLogs takes it.
func (f Format) String() string {
	return "${" + names(f.list(), "} ${") + "}"
}

// Header returns the first line of a file, without its end.
func (f Format) Header() string { return names(f.list(), " ") }

// Line returns r as a line of a file, without its end.
func (f Format) Line(r Record) string {
	list := f.list()
	version := 0
	for _, field := range list {
		version = max(version, field.version)
	}
	values := make([]string, len(list))
	for i, field := range list {
		if field.value == nil {
			values[i] = strconv.Itoa(version)
		} else {
			values[i] = field.value(r)
		}
		if values[i] == "" {
			values[i] = "-"
		}
	}
	return strings.Join(values, " ")
}

func (f Format) list() []field {
	if len(f.fields) == 0 {
		return fields()[:defaultFields]
	}
	return f.fields
}

func names(list []field, between string) string {
	all := make([]string, len(list))
	for i, f := range list {
		all[i] = f.name
	}
	return strings.Join(all, between)
}

// flow is value for records of flows; the others have no such value.
func flow(value func(Record) string) func(Record) string {
	return func(r Record) string {
		if r.Status != OK {
			return ""
		}
		return value(r)
	}
}

// source is srcaddr: of what leaves an interface AWS writes the interface's address, even where the packet's is forged.
func source(r Record) string {
	if r.Flow.Egress && r.Interface.Addr.IsValid() {
		return address(r.Interface.Addr)
	}
	return address(r.Flow.Source)
}

// dest is dstaddr: of what enters an interface AWS writes the interface's address.
func dest(r Record) string {
	if !r.Flow.Egress && r.Interface.Addr.IsValid() {
		return address(r.Interface.Addr)
	}
	return address(r.Flow.Dest)
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func action(f Flow) string {
	if f.Accept {
		return string(Accept)
	}
	return string(Reject)
}

func direction(f Flow) string {
	if f.Egress {
		return "egress"
	}
	return "ingress"
}

func epoch(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

func number[T uint8 | uint16 | uint64](n T) string { return strconv.FormatUint(uint64(n), 10) }
