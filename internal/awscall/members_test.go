package awscall

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/google/go-cmp/cmp"
	"github.com/gowebpki/jcs"
)

// shapesOf are the input and output types of every operation, by its name.
func shapesOf() map[string][2]reflect.Type {
	out := map[string][2]reflect.Type{}
	for _, op := range operations() {
		out[op.name] = [2]reflect.Type{op.input, op.output}
	}
	return out
}

// filled makes a value with every field set. choose picks a union's member; depth bounds recursion.
func filled(t reflect.Type, n *int, depth int) reflect.Value {
	*n++
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Pointer:
		if depth > 0 {
			v.Set(reflect.New(t.Elem()))
			v.Elem().Set(filled(t.Elem(), n, depth))
		}
	case reflect.Interface:
		if depth > 0 {
			members := wrappers(t)
			wrapper := reflect.New(members[*n%len(members)])
			wrapper.Elem().FieldByName("Value").Set(filled(wrapper.Elem().FieldByName("Value").Type(), n, depth-1))
			v.Set(wrapper)
		}
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 11, 25, 12, 0, 0, *n*1000, time.UTC)))
			return v
		}
		for i := range t.NumField() {
			if member(t.Field(i)) {
				v.Field(i).Set(filled(t.Field(i).Type, n, depth-1))
			}
		}
	case reflect.Slice:
		if depth > 0 {
			v.Set(reflect.MakeSlice(t, 2, 2))
			for i := range 2 {
				v.Index(i).Set(filled(t.Elem(), n, depth-1))
			}
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		if depth > 0 {
			v.SetMapIndex(reflect.ValueOf("${k}").Convert(t.Key()), filled(t.Elem(), n, depth-1))
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("t%d \"<é>\\", *n))
	case reflect.Bool:
		v.SetBool(*n%2 == 0)
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n) - 7)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(*n) + 0.1)
	case reflect.Uint8:
		v.SetUint(uint64(*n % 256))
	default: // the round trip fails
	}
	return v
}

func wrappers(union reflect.Type) []reflect.Type {
	return slices.DeleteFunc(unions(), func(t reflect.Type) bool { return !reflect.PointerTo(t).Implements(union) })
}

// bare compares SDK structures without what is no member.
func bare() cmp.Options {
	return cmp.Options{
		cmp.FilterPath(func(p cmp.Path) bool {
			name := p.Last().String()
			return name == ".noSmithyDocumentSerde" || name == ".ResultMetadata"
		}, cmp.Ignore()),
	}
}

// TestRoundTrip: every input, with everything in it that it can have, comes back the same from its JSON.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, io := range shapesOf() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			small := lower(Service(name))
			for start := range 8 { // each member of a union once
				n := start
				in := reflect.New(io[0])
				in.Elem().Set(filled(io[0], &n, 9))
				text, err := Parameters(name, in.Interface())
				if err != nil {
					t.Fatal(err)
				}
				out := reflect.New(io[0])
				if err := decode(text, out.Interface(), small); err != nil {
					t.Fatalf("%v\n%s", err, text)
				}
				if diff := cmp.Diff(in.Interface(), out.Interface(), bare()); diff != "" {
					t.Fatalf("%s is another value (-in +out):\n%s", text, diff)
				}
				if err := Check(name, text); err != nil {
					t.Errorf("Check: %v", err)
				}
				again, err := Parameters(name, out.Interface())
				if err != nil || string(again) != string(text) {
					t.Errorf("the second time it is %s, %v, not %s", again, err, text)
				}
			}
		})
	}
}

// TestUnionsComplete: each union that an operation reaches has its members. Their list is the SDK's; where the SDK has more,
// members that are not known are refused on encoding.
func TestUnionsComplete(t *testing.T) {
	t.Parallel()
	found := map[string][]string{}
	for _, io := range shapesOf() {
		for _, one := range io {
			reach(one, map[reflect.Type]bool{}, func(union reflect.Type) {
				names := []string{}
				for _, w := range wrappers(union) {
					names = append(names, codec{small: true}.name(unionMember(w)))
				}
				found[union.Name()] = names
			})
		}
	}
	// Source: Amazon Bedrock API Reference, the unions below CreateModelCustomizationJob; IAM API Reference, PolicyIdentifier.
	want := map[string][]string{
		"CustomizationConfig":    {"distillationConfig", "rftConfig"},
		"GraderConfig":           {"lambdaGrader"},
		"InvocationLogSource":    {"s3Uri"},
		"RequestMetadataFilters": {"equals", "notEquals", "andAll", "orAll"},
		"PolicyIdentifier":       {"inlinePolicyIdentifier", "policyArn", "policyType"},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("unions (-want +found):\n%s", diff)
	}
	below := map[string]bool{}
	reach(reflect.TypeFor[bedrock.CreateModelCustomizationJobInput](), map[reflect.Type]bool{}, func(union reflect.Type) { below[union.Name()] = true })
	if len(below) != 4 {
		t.Errorf("a new job reaches the unions %v", below)
	}
	for _, w := range unions() {
		if name, _, _ := strings.Cut(w.Name(), "Member"); found[name] == nil {
			t.Errorf("%s is a member of no union that an operation reaches", w)
		}
	}
}

// reach calls union with every interface type below t.
func reach(t reflect.Type, seen map[reflect.Type]bool, union func(reflect.Type)) {
	if seen[t] {
		return
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		union(t)
		for _, w := range wrappers(t) {
			reach(w, seen, union)
		}
	case reflect.Pointer, reflect.Slice, reflect.Map:
		reach(t.Elem(), seen, union)
	case reflect.Struct:
		for f := range t.Fields() {
			if member(f) {
				reach(f.Type, seen, union)
			}
		}
	default:
	}
}

// shapes is an API model as internal/wire/trim.py writes it.
type shapes struct {
	Operations []struct {
		Name          string
		Served        bool
		Input, Output *struct{ Shape string }
	}
	Shapes map[string]*struct {
		Type    string
		Members []struct{ Name, Shape string }
		Member  *struct{ Shape string }
		Value   *struct{ Shape string }
	}
}

func model(t *testing.T, folder, service string) (m shapes, ok bool) {
	t.Helper()
	f, err := os.Open(filepath.Join("..", folder, "models", service+".json.gz"))
	if os.IsNotExist(err) {
		return m, false
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	unpacked, err := gzip.NewReader(f)
	if err == nil {
		err = json.NewDecoder(unpacked).Decode(&m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m, true
}

// TestNamesAreAWS: the members of every operation have the names of AWS's models, at every depth. Those with another case
// would be refused by AWS, and by people who read its reference.
func TestNamesAreAWS(t *testing.T) {
	t.Parallel()
	compared := map[string]bool{}
	for _, folder := range []string{"awsfake", "wire"} {
		for name, io := range shapesOf() {
			service, operation, _ := strings.Cut(name, ":")
			m, ok := model(t, folder, strings.ReplaceAll(service, "-", ""))
			if !ok {
				continue
			}
			for _, op := range m.Operations {
				if op.Name != operation || !op.Served {
					continue
				}
				compared[name] = true
				c := codec{lower(service)}
				if op.Input != nil {
					compareNames(t, c, &m, name+" input", op.Input.Shape, io[0], map[string]bool{})
				}
				if op.Output != nil {
					compareNames(t, c, &m, name+" output", op.Output.Shape, io[1], map[string]bool{})
				}
			}
		}
	}
	for _, name := range Names() {
		if !compared[name] {
			t.Errorf("%s has no model to compare with", name)
		}
	}
}

func compareNames(t *testing.T, c codec, m *shapes, path, shape string, is reflect.Type, seen map[string]bool) {
	t.Helper()
	if seen[shape] {
		return
	}
	seen[shape] = true
	for is.Kind() == reflect.Pointer {
		is = is.Elem()
	}
	s := m.Shapes[shape]
	switch {
	case s == nil:
	case s.Member != nil && is.Kind() == reflect.Slice:
		compareNames(t, c, m, path+"[]", s.Member.Shape, is.Elem(), seen)
	case s.Value != nil && is.Kind() == reflect.Map:
		compareNames(t, c, m, path+"{}", s.Value.Shape, is.Elem(), seen)
	case s.Type != "structure":
	default:
		theirs := map[string]string{}
		for _, one := range s.Members {
			theirs[one.Name] = one.Shape
		}
		ours := map[string]reflect.Type{}
		if is.Kind() == reflect.Interface {
			for _, w := range wrappers(is) {
				f, _ := w.FieldByName("Value")
				ours[c.name(unionMember(w))] = f.Type
			}
		} else {
			for f := range is.Fields() {
				if member(f) {
					ours[c.name(f.Name)] = f.Type
				}
			}
		}
		for name, below := range ours {
			if theirs[name] != "" { // the SDK may know more than our models
				compareNames(t, c, m, path+"."+name, theirs[name], below, seen)
			}
		}
		for name := range theirs {
			if _, ok := ours[name]; !ok {
				t.Errorf("%s.%s is missing", path, name)
			}
		}
	}
}

// TestDecodeRefuses: what an operation has not, or has otherwise, is an error that says where.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	const create, find = "bedrock:CreateModelCustomizationJob", "ec2:DescribeSubnets"
	for _, c := range []struct{ name, operation, text, want string }{
		{"unknown member", create, `{"jobname":"a"}`, "jobname: there is no such parameter"},
		{"name of the SDK", create, `{"JobName":"a"}`, "JobName: there is no such parameter"},
		{"what is no member", create, `{"ResultMetadata":{}}`, "ResultMetadata: there is no such parameter"},
		{"below", create, `{"vpcConfig":{"subnetIds":["a"],"subnets":["b"]}}`, "vpcConfig.subnets: there is no such parameter"},
		{"in a list", create, `{"jobTags":[{"key":"a","value":"b"},{"key":"a","name":"b"}]}`, "jobTags[1].name: there is no such parameter"},
		{"number for a text", create, `{"jobName":1}`, "jobName: a text is expected"},
		{"text for a list", create, `{"vpcConfig":{"subnetIds":"a"}}`, "vpcConfig.subnetIds: a list is expected"},
		{"list for an object", create, `{"vpcConfig":[]}`, "vpcConfig: an object is expected"},
		{"list for a map", create, `{"hyperParameters":[]}`, "hyperParameters: an object is expected"},
		{"number in a map", create, `{"hyperParameters":{"epochCount":2}}`, "hyperParameters.epochCount: a text is expected"},
		{"text for a number", find, `{"MaxResults":"5"}`, "MaxResults: a whole number is expected"},
		{"part of a number", find, `{"MaxResults":1.5}`, "MaxResults: a whole number is expected"},
		{"large number", find, `{"MaxResults":2147483648}`, "MaxResults: a whole number is expected"},
		{"text for a boolean", find, `{"DryRun":"true"}`, "DryRun: true or false is expected"},
		{"text for a fraction", create, `{"customizationConfig":{"rftConfig":{"hyperParameters":{"learningRate":"1"}}}}`, "customizationConfig.rftConfig.hyperParameters.learningRate: a number is expected"},
		{"more digits than are sent", create, `{"customizationConfig":{"rftConfig":{"hyperParameters":{"learningRate":0.123456789}}}}`, "customizationConfig.rftConfig.hyperParameters.learningRate: a number of single precision is expected"},
		{"large fraction", create, `{"customizationConfig":{"rftConfig":{"hyperParameters":{"learningRate":1e39}}}}`, "customizationConfig.rftConfig.hyperParameters.learningRate: a number of single precision is expected"},
		{"empty enumeration", create, `{"customizationType":""}`, "customizationType: a text that is not empty is expected"},
		{"unknown union member", create, `{"customizationConfig":{"fineTuning":{}}}`, "customizationConfig.fineTuning: there is no such parameter"},
		{"member of another union", create, `{"customizationConfig":{"lambdaGrader":{}}}`, "customizationConfig.lambdaGrader: there is no such parameter"},
		{"union of two", create, `{"customizationConfig":{"rftConfig":{},"distillationConfig":{}}}`, "customizationConfig: an object with one member is expected"},
		{"empty union", create, `{"customizationConfig":{}}`, "customizationConfig: an object with one member is expected"},
		{"null", create, `{"jobName":null}`, "jobName: a text is expected"},
		{"null for an object", create, `{"vpcConfig":null}`, "vpcConfig: an object is expected"},
		{"null for a list", create, `{"jobTags":null}`, "jobTags: a list is expected"},
		{"null in a list", create, `{"vpcConfig":{"subnetIds":[null]}}`, "vpcConfig.subnetIds[0]: a text is expected"},
		{"null for a number", find, `{"MaxResults":null}`, "MaxResults: a whole number is expected"},
		{"null for a boolean", find, `{"DryRun":null}`, "DryRun: true or false is expected"},
		{"null for a union", create, `{"customizationConfig":null}`, "customizationConfig: an object with one member is expected"},
		{"null at all", create, `null`, "parameters: an object is expected"},
		{"a list at all", create, `[]`, "parameters: an object is expected"},
		{"nothing at all", create, ``, "parameters: EOF"},
		{"no JSON", create, `{"jobName":`, "parameters: unexpected EOF"},
		{"two values", create, `{} {}`, "parameters: more than one value"},
		{"a bracket behind", create, `{}]`, "parameters: more than one value"},
		{"a brace behind", create, `{"jobName":"a"}}`, "parameters: more than one value"},
		{"garbage behind", create, "{}\x00", "parameters: more than one value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := c.operation + ": " + c.want
			if err := Check(c.operation, json.RawMessage(c.text)); err == nil || err.Error() != want {
				t.Errorf("Check(%s) = %v, want %s", c.text, err, want)
			}
		})
	}
}

// TestUnknownUnionMember: a member that this version does not know is an error, not left out.
func TestUnknownUnionMember(t *testing.T) {
	t.Parallel()
	in := &bedrock.CreateModelCustomizationJobInput{CustomizationConfig: &types.UnknownUnionMember{Tag: "new"}}
	if text, err := Parameters("bedrock:CreateModelCustomizationJob", in); err == nil || !strings.Contains(err.Error(), "customizationConfig: UnknownUnionMember is of a kind that is not known") {
		t.Errorf("Parameters = %s, %v", text, err)
	}
}

// FuzzDecode: nothing panics, and what is taken says the same when it is written down again.
func FuzzDecode(f *testing.F) {
	names := Names()
	create := slices.Index(names, "bedrock:CreateModelCustomizationJob")
	for i, seed := range []string{
		`{"customizationConfig":{"rftConfig":{"hyperParameters":{"learningRate":0.123456789}}}}`, `{"customizationType":"RFT"}`,
		`{"jobName":"a","vpcConfig":{"subnetIds":["a"],"securityGroupIds":[]},"hyperParameters":{"a":"b"},"customizationConfig":{"rftConfig":{"graderConfig":{"lambdaGrader":{"lambdaArn":"a"}}}}}`,
		`{"trainingDataConfig":{"invocationLogsConfig":{"usePromptResponse":true,"invocationLogSource":{"s3Uri":"s3://a"},"requestMetadataFilters":{"andAll":[{"equals":{"a":"b"}}]}}}}`,
		`{"MaxResults":5,"Filters":[{"Name":"a","Values":["b"]}],"DryRun":false}`, `{"customModelTags":[{}]}`, `{} x`, `null`, `{"customizationType":""}`,
	} {
		f.Add(i, seed)
		f.Add(create, seed)
	}
	f.Fuzz(func(t *testing.T, i int, text string) {
		name := names[int(uint(i)%uint(len(names)))]
		in := reflect.New(shapesOf()[name][0])
		if decode(json.RawMessage(text), in.Interface(), lower(Service(name))) != nil {
			return
		}
		again, err := Parameters(name, in.Interface())
		if err != nil {
			t.Fatalf("Parameters(%s): %v", text, err)
		}
		want, err := jcs.Transform([]byte(text))
		if err != nil {
			return // a name twice, or half of a surrogate pair: no canonical form
		}
		have, err := jcs.Transform(again)
		if err != nil {
			t.Fatal(err)
		}
		if string(have) != string(want) {
			t.Errorf("%s: %s became %s", name, want, have)
		}
	})
}
