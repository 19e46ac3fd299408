package tape

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// number is twelve digits or more; exactly twelve are an account id.
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
		if at[1]-at[0] != 12 || hexBefore(s, at[0]) || hexAfter(s, at[1]) {
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

// hexBefore and hexAfter say that the digits are a part of a longer hexadecimal id, such as a UUID's last group. An
// escaped character of a URL, such as %3A, is none.
func hexBefore(s string, i int) bool {
	if i > 2 && s[i-3] == '%' && isHex(s[i-2]) {
		return false
	}
	return i > 0 && (isHexLetter(s[i-1]) || s[i-1] == '-' && i > 4 && isHex(s[i-2]) && isHex(s[i-3]) && isHex(s[i-4]) && isHex(s[i-5]) && uuidBefore(s, i))
}

func hexAfter(s string, i int) bool { return i < len(s) && isHexLetter(s[i]) }

// uuidBefore says that the 24 bytes before i are the first four groups of a UUID.
func uuidBefore(s string, i int) bool {
	if i < 24 {
		return false
	}
	for at, c := range []byte(s[i-24 : i]) {
		dash := at == 8 || at == 13 || at == 18 || at == 23
		if dash != (c == '-') || !dash && !isHex(c) {
			return false
		}
	}
	return true
}

func isHexLetter(c byte) bool { return c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
func isHex(c byte) bool       { return isHexLetter(c) || c >= '0' && c <= '9' }
