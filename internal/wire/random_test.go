package wire

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp/syntax"
	"strings"
	"testing"
	"time"
)

// generator makes random values that satisfy the model.
type generator struct {
	tb      testing.TB
	rnd     *rand.Rand
	unions  map[string]reflect.Type
	seconds bool // timestamps without milliseconds: the SDK cuts epoch floats, which loses one now and then
	depth   int
}

func newGenerator(tb testing.TB, seed uint64, s *Service) *generator {
	tb.Helper()
	name := s.Name()
	return &generator{tb: tb, rnd: rand.New(rand.NewPCG(seed, 1)), unions: s.unions, seconds: name == "iam" || name == "kms"}
}

// structure fills v; a member is left out with probability 1/3 unless it is required.
func (g *generator) structure(s *shape, v reflect.Value, keep func(*ref) bool) {
	g.depth++
	defer func() { g.depth-- }()
	for _, r := range s.Members {
		if !keep(r) || r.Streaming || (!s.requires(r.Name) && (g.rnd.IntN(3) == 0 || g.depth > 4)) {
			continue
		}
		g.set(r, v.FieldByName(fieldName(r.Name)), keep)
	}
}

func (g *generator) set(r *ref, v reflect.Value, keep func(*ref) bool) {
	s := r.shape
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch s.Type {
	case typeStructure:
		if s.Union {
			member := s.Members[g.rnd.IntN(len(s.Members))]
			if g.depth > 3 {
				member = s.Members[0]
			}
			chosen := reflect.New(g.unions[s.name+"."+member.Name])
			g.depth++
			g.set(member, chosen.Elem().FieldByName("Value"), keep)
			g.depth--
			v.Set(chosen)
			return
		}
		g.structure(s, v, keep)
	case typeList:
		n := g.count(s)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			g.set(s.Member, v.Index(i), keep)
		}
	case typeMap:
		v.Set(reflect.MakeMap(v.Type()))
		for range g.count(s) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			g.set(s.Key, key, keep)
			g.set(s.Value, value, keep)
			if r.Location == "headers" {
				key.SetString(fmt.Sprintf("key-%d", g.rnd.IntN(1000)))
				value.SetString(fmt.Sprintf("value %d", g.rnd.IntN(1000)))
			}
			v.SetMapIndex(key, value)
		}
	case typeString:
		v.SetString(g.text(r))
	case typeBlob:
		b := make([]byte, 1+g.rnd.IntN(40))
		for i := range b {
			b[i] = byte(g.rnd.UintN(256))
		}
		v.SetBytes(b)
	case typeBoolean:
		v.SetBool(g.rnd.IntN(2) == 0)
	case typeInteger, typeLong:
		low, high := 0.0, 100000.0
		if s.Min != nil {
			low = *s.Min
		}
		if s.Max != nil {
			high = *s.Max
		}
		v.SetInt(int64(low) + g.rnd.Int64N(int64(high-low)+1))
	case typeFloat, typeDouble:
		v.SetFloat(float64(float32(g.rnd.NormFloat64())))
		if s.Min != nil {
			v.SetFloat(*s.Min)
		}
	case typeTimestamp:
		t := time.UnixMilli(g.rnd.Int64N(4e12)).UTC()
		if g.seconds || r.Location == "header" || s.TimestampFormat == "rfc822" {
			t = t.Truncate(time.Second)
		}
		v.Set(reflect.ValueOf(t))
	default:
		g.tb.Fatalf("no generator for shape type %s", s.Type)
	}
}

func (g *generator) count(s *shape) int {
	low, high := 1, 3
	if s.Min != nil {
		low = max(low, int(*s.Min))
	}
	if s.Max != nil {
		high = min(high, int(*s.Max))
	}
	return low + g.rnd.IntN(max(high-low, 0)+1)
}

func (g *generator) text(r *ref) string {
	s := r.shape
	if len(s.Enum) > 0 {
		return s.Enum[g.rnd.IntN(len(s.Enum))]
	}
	for range 2000 {
		var text string
		switch {
		case r.shape.Pattern != "":
			parsed, err := syntax.Parse(strings.Trim(javaEscape.ReplaceAllString(s.Pattern, `\x{$1}`), "^$"), syntax.Perl)
			if err != nil {
				g.tb.Fatal(err)
			}
			var b strings.Builder
			g.match(&b, parsed)
			text = b.String()
		case r.Location == "":
			text = g.alphabet("abcXYZ019 -_./é<&>\"'ü日 \t=+%", 1, 20)
		case r.Location == "uri" && strings.Contains(strings.ToLower(r.Name), "key"):
			text = g.alphabet("abc/.+%~ é&=?#", 1, 20)
		default:
			text = g.alphabet("abcXYZ019-_.=", 1, 20)
		}
		if s.Min != nil && len(text) < int(*s.Min) {
			text += strings.Repeat("a", int(*s.Min)-len(text))
		}
		// XML has no control characters; headers no others than ASCII's printable ones.
		if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' && c != '\t' }) {
			continue
		}
		printable := !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' })
		if len(s.checkString(text)) == 0 && strings.TrimSpace(text) != "" && (r.Location != "header" || printable) {
			return text
		}
	}
	g.tb.Fatalf("no random value for shape %s, pattern %s", s.name, s.Pattern)
	return ""
}

func (g *generator) alphabet(letters string, low, high int) string {
	runes := []rune(letters)
	var b strings.Builder
	for range low + g.rnd.IntN(high-low+1) {
		b.WriteRune(runes[g.rnd.IntN(len(runes))])
	}
	return b.String()
}

// match writes a random text that matches the expression.
func (g *generator) match(b *strings.Builder, re *syntax.Regexp) {
	repeat := func(low, high int) {
		if high < 0 || high > low+6 {
			high = low + 6
		}
		for range low + g.rnd.IntN(high-low+1) {
			g.match(b, re.Sub[0])
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			b.WriteRune(r)
		}
	case syntax.OpCharClass:
		i := 2 * g.rnd.IntN(len(re.Rune)/2)
		low, high := re.Rune[i], min(re.Rune[i+1], re.Rune[i]+93)
		b.WriteRune(low + rune(g.rnd.IntN(int(high-low)+1)))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteRune('a' + rune(g.rnd.IntN(26)))
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			g.match(b, sub)
		}
	case syntax.OpAlternate:
		g.match(b, re.Sub[g.rnd.IntN(len(re.Sub))])
	case syntax.OpStar:
		repeat(0, -1)
	case syntax.OpPlus:
		repeat(1, -1)
	case syntax.OpQuest:
		repeat(0, 1)
	case syntax.OpRepeat:
		repeat(re.Min, re.Max)
	case syntax.OpNoMatch, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		g.tb.Fatalf("no generator for expression %s", re)
	case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine:
	}
}
