package remedy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	jmespath "github.com/jmespath/go-jmespath"
)

// known gives the placeholders of the tests.
func known(name string) (string, bool) {
	v, ok := map[string]string{"token": "T", "1.1.jobArn": "arn:job", "1.2.modelArn": "${token}"}[name]
	return v, ok
}

// TestFill: placeholders are filled in, once; those that are not known are errors.
func TestFill(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want, err string }{
		{"", "", ""},
		{"a", "a", ""},
		{"${token}", "T", ""},
		{"a${token}b${1.1.jobArn}${token}", "aTbarn:jobT", ""},
		{"${1.2.modelArn}", "${token}", ""}, // what was filled in is not looked at again
		{"$${token}", "${token}", ""},
		{"$$${token}", "$${token}", ""},
		{"$${${token}}", "${T}", ""},
		{"$$", "$$", ""},
		{"$ {token}", "$ {token}", ""},
		{"{token}", "{token}", ""},
		{"a$", "a$", ""},
		{"${1.1.jobarn}", "", "${1.1.jobarn} is not known yet"},
		{"${token}${9}", "", "${9} is not known yet"},
		{"${}", "", "${} is not known yet"},
		{"${ token}", "", "${ token} is not known yet"},
		{"${token", "", "a placeholder without an end"},
		{"${to{ken}", "", "a placeholder without an end"},
		{"${${token}}", "", "a placeholder without an end"},
	} {
		got, err := fillText(c.text, known)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("fillText(%q) = %q, %v, want %q, %s", c.text, got, err, c.want, c.err)
		}
	}
	in := object{"a": []any{"${token}", object{"${token}": "$${token}", "b": nil}}, "n": 1.5, "t": true}
	want := object{"a": []any{"T", object{"${token}": "${token}", "b": nil}}, "n": 1.5, "t": true}
	got, err := fill(in, known)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("fill: %v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []any{[]any{"${x}"}, object{"a": object{"b": "${x}"}}, object{"a": []any{object{"b": "${token"}}}} {
		if got, err := fill(bad, known); err == nil {
			t.Errorf("fill(%v) = %v", bad, got)
		}
	}
	text, err := fillJSON(json.RawMessage(`{"a":"<${token}>","n":12}`), known)
	if err != nil || string(text) != "{\"a\":\"\\u003cT\\u003e\",\"n\":12}" {
		t.Errorf("fillJSON = %s, %v", text, err)
	}
	if text, err := fillJSON(json.RawMessage(`{`), known); err == nil {
		t.Errorf("fillJSON of half an object = %s", text)
	}
}

// pieces are what texts of the properties are made of.
func pieces() []string {
	return []string{"$", "{", "}", "${", "$${", "${token}", "${1.1.jobArn}", "`", "\\`", "\\", `"`, "'", "\n", "<", "&", "é", "\u2028", "a", "1.1", " ", "\x00", "\x7f"}
}

func randomText(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(8) {
		b.WriteString(pieces()[r.IntN(len(pieces()))])
	}
	return b.String()
}

func randomTree(r *rand.Rand, depth int) any {
	switch n := r.IntN(7); {
	case n == 0:
		return r.Float64()
	case n == 1:
		return r.IntN(2) == 0
	case n == 2 && depth > 0:
		list := make([]any, r.IntN(4))
		for i := range list {
			list[i] = randomTree(r, depth-1)
		}
		return list
	case n == 3 && depth > 0:
		members := object{}
		for range r.IntN(4) {
			members[randomText(r)] = randomTree(r, depth-1)
		}
		return members
	case n == 4:
		return nil
	default:
		return randomText(r)
	}
}

// TestLiteral: what comes from an account is never filled in, whatever it is.
func TestLiteral(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		v := randomTree(r, 3)
		got, err := fill(Literal(v), func(name string) (string, bool) {
			t.Errorf("%q of %q is asked for", name, v)
			return "", true
		})
		if diff := cmp.Diff(v, got); diff != "" || err != nil {
			t.Fatalf("fill(Literal(%#v)): %v (-want +got):\n%s", v, err, diff)
		}
		if text := js(object{"a": Literal(v)}); waitsFor(js(object{"a": Literal(randomText(r))})) {
			t.Fatalf("%s waits for something", text)
		}
	}
}

// TestWaitsFor: only what another step gives has to be waited for.
func TestWaitsFor(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`{}`: false, `{"a":"${token}"}`: false, `{"a":"$${1.1.jobArn}"}`: false, `{"a":"${1.1.jobArn}"}`: true, `{"a":"${token}","b":["$${","x${1.2.modelArn}"]}`: true,
		`{"${1.1.jobArn}":"a"}`: false, // a name is not filled in
	} {
		if got := waitsFor(json.RawMessage(text)); got != want {
			t.Errorf("waitsFor(%s) = %t", text, got)
		}
	}
}

// TestQuote: a quoted value is itself in a query, whatever it is, and nothing in it is filled in.
func TestQuote(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		v := randomTree(r, 2)
		query, err := fillText(Quote(v), func(name string) (string, bool) {
			t.Errorf("%q of %q is asked for", name, v)
			return "", true
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := jmespath.Search(query, nil)
		if diff := cmp.Diff(v, got); diff != "" || err != nil {
			t.Fatalf("Search(%s): %v (-want +got):\n%s", query, err, diff)
		}
		name := randomText(r)
		query, _ = fillText("[?key == "+Quote(name)+"].value", known) // the others were tried above
		got, err = jmespath.Search(query, []any{object{"key": name, "value": "v"}, object{"key": name + "x", "value": "w"}})
		if text := fmt.Sprint(got); err != nil || text != "[v]" {
			t.Fatalf("Search(%s) = %v, %v", query, got, err)
		}
	}
}
