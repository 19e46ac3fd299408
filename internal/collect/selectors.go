package collect

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"example.com/cloister/internal/posture"
)

const s3Object = "AWS::S3::Object"

// takeSelectors reads both kinds of event selectors.
// Source: AWS CloudTrail API Reference, EventSelector and AdvancedEventSelector.
func takeSelectors(out *cloudtrail.GetEventSelectorsOutput) (*posture.Selectors, error) {
	var t taker
	s := &posture.Selectors{}
	if len(out.EventSelectors) == 0 && len(out.AdvancedEventSelectors) == 0 {
		t.fail("the answer has no event selectors")
	}
	for _, e := range out.EventSelectors {
		kind := enum(&t, "ReadWriteType", e.ReadWriteType, e.ReadWriteType.Values())
		if t.boolean("IncludeManagementEvents", e.IncludeManagementEvents) {
			manage(s, kind, e.ExcludeManagementEventSources, true)
		}
		for _, d := range e.DataResources {
			if aws.ToString(d.Type) == s3Object {
				s.Data = append(s.Data, posture.DataSelector{Prefixes: objectPrefixes(d.Values), ReadWrite: kind, Certain: true})
			}
		}
	}
	for _, e := range out.AdvancedEventSelectors {
		switch a := takeAdvanced(&t, e); a.category {
		case "Management":
			manage(s, a.readWrite, a.excluded, a.certain)
		case "Data":
			if a.resource == s3Object {
				s.Data = append(s.Data, posture.DataSelector{Prefixes: a.prefixes, ReadWrite: a.readWrite, Certain: a.certain})
			}
		}
	}
	return s, t.err
}

// manage adds a selector of management events: what it leaves out, another may record.
func manage(s *posture.Selectors, readWrite string, excluded []string, certain bool) {
	add := func(m *posture.Management) {
		switch {
		case !certain:
			m.Uncertain = true
		case !m.Recorded:
			m.Recorded, m.Excluded = true, slices.Clone(excluded)
		default:
			m.Excluded = slices.DeleteFunc(m.Excluded, func(source string) bool { return !slices.Contains(excluded, source) })
		}
	}
	if readWrite != "WriteOnly" {
		add(&s.Reads)
	}
	if readWrite != "ReadOnly" {
		add(&s.Writes)
	}
}

// objectPrefixes are those of a basic selector's values that name objects: all of S3, or a bucket with its slash and
// perhaps a prefix. A bucket's name without the slash is the beginning of other buckets' names too, and names no object.
// Source: AWS CloudTrail API Reference, DataResource ("specify the bucket and an empty object prefix such as
// arn:aws:s3:::amzn-s3-demo-bucket1/"); CLI Reference, put-event-selectors (arn:aws:s3:::).
func objectPrefixes(values []string) []string {
	var prefixes []string
	for _, v := range values {
		part := strings.SplitN(v, ":", 6)
		if len(part) < 3 || part[0] != "arn" || part[1] == "" || part[2] != "s3" {
			continue
		}
		if all := len(part) == 3 || strings.Join(part[3:], ":") == "::"; all || strings.Contains(part[len(part)-1], "/") {
			prefixes = append(prefixes, v)
		}
	}
	return prefixes
}

// advanced is an advanced event selector.
type advanced struct {
	category, resource string
	readWrite          string
	excluded           []string // event sources
	prefixes           []string // of ARNs
	certain            bool     // false if it has conditions that are not understood
}

// takeAdvanced reads an advanced event selector, whose conditions must all hold.
// Source: AWS CloudTrail API Reference, AdvancedFieldSelector: eventCategory, resources.type and readOnly only take Equals.
func takeAdvanced(t *taker, e types.AdvancedEventSelector) advanced {
	a := advanced{readWrite: "All", prefixes: []string{"arn:"}, certain: true} // without a condition on the ARN: all objects
	seen := map[string]bool{}
	for _, f := range e.FieldSelectors {
		field := t.str("FieldSelectors[].Field", f.Field)
		if seen[field] {
			t.fail("a selector names %s twice", field)
		}
		seen[field] = true
		a.field(field, f)
	}
	switch {
	case a.category == "", a.category == "Data" && a.resource == "":
		t.fail("a selector does not say what it selects")
	case a.category == "Management":
		a.certain = a.certain && !seen["resources.type"] && !seen["resources.ARN"]
	default:
		a.certain = a.certain && len(a.excluded) == 0
	}
	return a
}

func (a *advanced) field(name string, f types.AdvancedFieldSelector) {
	others := len(f.StartsWith) + len(f.EndsWith) + len(f.NotEquals) + len(f.NotStartsWith) + len(f.NotEndsWith)
	is := "" // the one value that the field must equal
	if len(f.Equals) == 1 && others == 0 {
		is = f.Equals[0]
	}
	switch {
	case name == "eventCategory":
		a.category = is
	case name == "resources.type":
		a.resource = is
	case name == "readOnly" && is == "true":
		a.readWrite = "ReadOnly"
	case name == "readOnly" && is == "false":
		a.readWrite = "WriteOnly"
	case name == "eventSource" && len(f.NotEquals) > 0 && others == len(f.NotEquals) && len(f.Equals) == 0:
		a.excluded = f.NotEquals
	case name == "resources.ARN" && len(f.StartsWith) > 0 && others == len(f.StartsWith) && len(f.Equals) == 0:
		a.prefixes = slices.DeleteFunc(slices.Clone(f.StartsWith), func(p string) bool { return p == "" })
	default:
		a.certain = false
	}
}
