package posture

import (
	"regexp"
	"strings"
)

// placeholder is what stands for a value in a rule's commands.
var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

// bare is a value that a POSIX shell takes as it is.
var bare = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// Fill puts values into a command's {placeholders}, quoted for a POSIX shell where needed: names come from the account,
// and a command that is printed is a command that is pasted. A placeholder without a value stays.
func Fill(command string, values map[string]string) string {
	return placeholder.ReplaceAllStringFunc(command, func(p string) string {
		value, ok := values[p[1:len(p)-1]]
		if !ok || value == "" {
			return p
		}
		return shellQuote(value)
	})
}

func shellQuote(s string) string {
	if bare.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
