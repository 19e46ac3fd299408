package tape

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// number is twelve digits or more. Exactly twelve are taken for an account id, in whatever they stand: the same digits in a
// hash are replaced as well, everywhere alike, which harms nothing.
var number = regexp.MustCompile(`[0-9]{12,}`)

// redactor gives every account id another one, the same each time. It is safe for concurrent use.
type redactor struct {
	mu  sync.Mutex // guards ids
	ids map[string]string
}

func newRedactor() *redactor { return &redactor{ids: map[string]string{}} }

// text replaces the account ids in s. Ids are numbered from 000000000001 in the order of their appearance, which says
// nothing about them.
func (r *redactor) text(s string) string {
	if !number.MatchString(s) {
		return s
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var out strings.Builder
	last := 0
	for _, at := range number.FindAllStringIndex(s, -1) {
		if at[1]-at[0] != 12 {
			continue
		}
		id := s[at[0]:at[1]]
		if strings.HasPrefix(id, "00000000") { // one of ours already
			continue
		}
		replacement, ok := r.ids[id]
		if !ok {
			replacement = fmt.Sprintf("%012d", len(r.ids)+1)
			r.ids[id] = replacement
		}
		out.WriteString(s[last:at[0]])
		out.WriteString(replacement)
		last = at[1]
	}
	out.WriteString(s[last:])
	return out.String()
}
