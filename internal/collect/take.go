package collect

import (
	"fmt"
	"slices"
	"time"
)

// taker reads the members of an answer that AWS's model requires, and remembers the first that is missing or has a value
// that nobody knows: such an answer is no answer, because a rule could take what is missing for something good.
type taker struct{ err error }

func (t *taker) fail(format string, args ...any) {
	if t.err == nil {
		t.err = fmt.Errorf(format, args...)
	}
}

// other is the error of an answer about another thing than the one that was asked for.
func other(asked, got string) error {
	if asked == got {
		return nil
	}
	return fmt.Errorf("the answer is about %s, not about what was asked for", got)
}

func (t *taker) str(member string, v *string) string {
	if v == nil || *v == "" {
		t.fail("the answer lacks %s", member)
		return ""
	}
	return *v
}

func (t *taker) time(member string, v *time.Time) time.Time {
	if v == nil {
		t.fail("the answer lacks %s", member)
		return time.Time{}
	}
	return v.UTC()
}

func (t *taker) boolean(member string, v *bool) bool {
	if v == nil {
		t.fail("the answer lacks %s", member)
		return false
	}
	return *v
}

func optional(v *time.Time) time.Time {
	if v == nil {
		return time.Time{}
	}
	return v.UTC()
}

// enum reads a required member that has one of a few values.
func enum[E ~string](t *taker, member string, v E, known []E) string {
	if v == "" {
		t.fail("the answer lacks %s", member)
		return ""
	}
	if !slices.Contains(known, v) {
		t.fail("%s is %q, which is not known", member, string(v))
	}
	return string(v)
}

// maybe reads a member that may be absent.
func maybe[E ~string](t *taker, member string, v E, known []E) string {
	if v == "" {
		return ""
	}
	return enum(t, member, v, known)
}
