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
// and a command that is printed is a command that is pasted. complete says that no placeholder is left without a value;
// value gives "" for those that it does not have.
func Fill(command string, value func(name string) string) (line string, complete bool) {
	var out strings.Builder
	complete = true
	for {
		from := strings.IndexByte(command, '{')
		length := strings.IndexByte(command[max(from, 0):], '}')
		if from < 0 || length < 0 {
			out.WriteString(command)
			return out.String(), complete
		}
		name := command[from+1 : from+length]
		out.WriteString(command[:from])
		switch found := value(name); {
		case !isName(name): // a brace of the command itself, as in JSON
			out.WriteByte('{')
			command = command[from+1:]
			continue
		case found == "":
			complete = false
			out.WriteString(command[from : from+length+1])
		default:
			out.WriteString(ShellQuote(found))
		}
		command = command[from+length+1:]
	}
}

// isName says that a text between braces is a placeholder's name.
func isName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// ShellQuote is a text as one word of a POSIX shell.
func ShellQuote(s string) string {
	if bare.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
