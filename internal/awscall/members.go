package awscall

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	bedrock "github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	iam "github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// The SDK's structures and AWS's members meet by name: the field JobName is the member jobName, or JobName where the API
// begins with capitals. Unions are interfaces in the SDK, {"member": value} in the API.

// unions are the SDK's wrappers of union members, which reflection cannot find; a test wants them complete for every
// operation.
func unions() []reflect.Type {
	return []reflect.Type{
		reflect.TypeFor[bedrock.CustomizationConfigMemberDistillationConfig](),
		reflect.TypeFor[bedrock.CustomizationConfigMemberRftConfig](),
		reflect.TypeFor[bedrock.GraderConfigMemberLambdaGrader](),
		reflect.TypeFor[bedrock.InvocationLogSourceMemberS3Uri](),
		reflect.TypeFor[bedrock.RequestMetadataFiltersMemberEquals](),
		reflect.TypeFor[bedrock.RequestMetadataFiltersMemberNotEquals](),
		reflect.TypeFor[bedrock.RequestMetadataFiltersMemberAndAll](),
		reflect.TypeFor[bedrock.RequestMetadataFiltersMemberOrAll](),
		reflect.TypeFor[iam.PolicyIdentifierMemberInlinePolicyIdentifier](),
		reflect.TypeFor[iam.PolicyIdentifierMemberPolicyArn](),
		reflect.TypeFor[iam.PolicyIdentifierMemberPolicyType](),
	}
}

// codec goes between structures and members.
type codec struct{ small bool }

// encode gives the members of a pointer to an SDK structure. What is nil or an empty enumeration is left out.
func encode(v any, small bool) (map[string]any, error) {
	out, err := codec{small}.value(reflect.ValueOf(v))
	if err != nil {
		return nil, err
	}
	members, ok := out.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%T is no structure", v)
	}
	return members, nil
}

func (c codec) name(field string) string {
	if c.small || slices.Contains(smallNames(), field) {
		return strings.ToLower(field[:1]) + field[1:]
	}
	return field
}

// smallNames are the few members of APIs with capitals that begin with a small letter.
// Source: AWS CloudTrail API Reference, DescribeTrails.
func smallNames() []string { return []string{"IncludeShadowTrails", "TrailList", "TrailNameList"} }

// value is what stands for v; nil leaves it out.
func (c codec) value(v reflect.Value) (any, error) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil, nil //nolint:nilnil // nothing to say
		}
		return c.value(v.Elem())
	case reflect.Interface:
		if v.IsNil() {
			return nil, nil //nolint:nilnil // as above
		}
		return c.union(v.Elem())
	case reflect.Struct:
		if t, ok := reflect.TypeAssert[time.Time](v); ok {
			return t.UTC().Format(time.RFC3339Nano), nil
		}
		return c.structure(v)
	case reflect.Slice:
		if v.IsNil() {
			return nil, nil //nolint:nilnil // as above
		}
		if b, ok := reflect.TypeAssert[[]byte](v); ok {
			return base64.StdEncoding.EncodeToString(b), nil
		}
		return c.list(v)
	case reflect.Map:
		if v.IsNil() {
			return nil, nil //nolint:nilnil // as above
		}
		return c.entries(v)
	case reflect.String:
		return v.String(), nil
	case reflect.Bool:
		return v.Bool(), nil
	case reflect.Int32, reflect.Int64, reflect.Int:
		return float64(v.Int()), nil
	case reflect.Float32: // the shortest decimal that means it
		return strconv.ParseFloat(strconv.FormatFloat(v.Float(), 'g', -1, 32), 64)
	case reflect.Float64:
		return v.Float(), nil
	default:
		return nil, fmt.Errorf("%s has no members", v.Type())
	}
}

func (c codec) structure(v reflect.Value) (any, error) {
	out := map[string]any{}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !member(field) {
			continue
		}
		value, err := c.value(v.Field(i))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name(field.Name), err)
		}
		if value == nil || value == "" && field.Type.Kind() == reflect.String {
			continue
		}
		out[c.name(field.Name)] = value
	}
	return out, nil
}

// member says that a field stands for a member of the API.
func member(f reflect.StructField) bool {
	return f.IsExported() && !f.Anonymous && f.Name != "ResultMetadata"
}

func (c codec) list(v reflect.Value) (any, error) {
	out := make([]any, v.Len())
	for i := range out {
		value, err := c.value(v.Index(i))
		if err != nil {
			return nil, err
		}
		out[i] = value
	}
	return out, nil
}

func (c codec) entries(v reflect.Value) (any, error) {
	out := map[string]any{}
	for it := v.MapRange(); it.Next(); {
		value, err := c.value(it.Value())
		if err != nil {
			return nil, err
		}
		out[it.Key().String()] = value
	}
	return out, nil
}

func (c codec) union(v reflect.Value) (any, error) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if !slices.Contains(unions(), v.Type()) {
		return nil, fmt.Errorf("%s is of a kind that is not known", v.Type().Name())
	}
	value, err := c.value(v.FieldByName("Value"))
	if err != nil {
		return nil, err
	}
	return map[string]any{c.name(unionMember(v.Type())): value}, nil
}

// unionMember is the member's name: that of CustomizationConfigMemberRftConfig is RftConfig.
func unionMember(t reflect.Type) string {
	_, name, _ := strings.Cut(t.Name(), "Member")
	return name
}

// decode fills out, a pointer to an SDK structure, from a JSON object. Members that the structure does not have, values of
// another type and nulls are errors.
func decode(text json.RawMessage, out any, small bool) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return fmt.Errorf("parameters: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("parameters: more than one value")
	}
	if _, ok := tree.(map[string]any); !ok {
		return errors.New("parameters: an object is expected")
	}
	return codec{small}.set(reflect.ValueOf(out).Elem(), tree, "")
}

func (c codec) set(v reflect.Value, tree any, path string) error {
	wrong := func(want string) error { return fmt.Errorf("%s: %s is expected", strings.TrimPrefix(path, "."), want) }
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return c.set(v.Elem(), tree, path)
	case reflect.Interface:
		return c.setUnion(v, tree, path)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			text, _ := tree.(string)
			t, err := time.Parse(time.RFC3339Nano, text)
			if err != nil {
				return wrong("a time as in RFC 3339")
			}
			v.Set(reflect.ValueOf(t))
			return nil
		}
		return c.setStructure(v, tree, path)
	case reflect.Slice:
		list, ok := tree.([]any)
		if !ok {
			return wrong("a list")
		}
		v.Set(reflect.MakeSlice(v.Type(), len(list), len(list)))
		for i, item := range list {
			if err := c.set(v.Index(i), item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Map:
		return c.setEntries(v, tree, path)
	case reflect.String:
		text, ok := tree.(string)
		if !ok {
			return wrong("a text")
		}
		v.SetString(text)
		return nil
	case reflect.Bool:
		b, ok := tree.(bool)
		if !ok {
			return wrong("true or false")
		}
		v.SetBool(b)
		return nil
	case reflect.Int32, reflect.Int64:
		number, _ := tree.(json.Number)
		n, err := strconv.ParseInt(number.String(), 10, v.Type().Bits())
		if err != nil {
			return wrong("a whole number")
		}
		v.SetInt(n)
		return nil
	case reflect.Float32, reflect.Float64:
		number, _ := tree.(json.Number)
		n, err := strconv.ParseFloat(number.String(), 64)
		if err != nil {
			return wrong("a number")
		}
		v.SetFloat(n)
		if sent, err := c.value(v); err != nil || sent != n { // what is read is what is sent
			return wrong("a number of single precision")
		}
		return nil
	default:
		return wrong("nothing")
	}
}

func (c codec) setStructure(v reflect.Value, tree any, path string) error {
	members, ok := tree.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: an object is expected", strings.TrimPrefix(path, "."))
	}
	for name, value := range members {
		at := strings.TrimPrefix(path+"."+name, ".")
		i := -1
		for n := range v.NumField() {
			if f := v.Type().Field(n); member(f) && c.name(f.Name) == name {
				i = n
			}
		}
		if i < 0 {
			return fmt.Errorf("%s: there is no such parameter", at)
		}
		if v.Field(i).Kind() == reflect.String && value == "" { // an enumeration, which would not be sent
			return fmt.Errorf("%s: a text that is not empty is expected", at)
		}
		if err := c.set(v.Field(i), value, at); err != nil {
			return err
		}
	}
	return nil
}

func (c codec) setEntries(v reflect.Value, tree any, path string) error {
	entries, ok := tree.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: an object is expected", path)
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(entries)))
	for name, value := range entries {
		item := reflect.New(v.Type().Elem()).Elem()
		if err := c.set(item, value, path+"."+name); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), item)
	}
	return nil
}

func (c codec) setUnion(v reflect.Value, tree any, path string) error {
	members, ok := tree.(map[string]any)
	if !ok || len(members) != 1 {
		return fmt.Errorf("%s: an object with one member is expected", path)
	}
	for name, value := range members {
		i := slices.IndexFunc(unions(), func(t reflect.Type) bool {
			return reflect.PointerTo(t).Implements(v.Type()) && c.name(unionMember(t)) == name
		})
		if i < 0 {
			return fmt.Errorf("%s.%s: there is no such parameter", path, name)
		}
		wrapper := reflect.New(unions()[i])
		if err := c.set(wrapper.Elem().FieldByName("Value"), value, path+"."+name); err != nil {
			return err
		}
		v.Set(wrapper)
	}
	return nil
}
