package wire

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxEcho is the longest value, in bytes, that a validation message repeats.
const maxEcho = 512

var (
	javaEscape   = regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`)
	innerAnchors = regexp.MustCompile(`^\.\*\(\^`)
)

// compilePattern compiles a model's Java expression. Services match the whole value; a pattern with anchors
// inside (Bedrock's TaggableResourcesArn, ".*(^…$)…") can only mean "find".
func compilePattern(java string) (*regexp.Regexp, error) {
	if java == "" {
		return nil, nil
	}
	pattern := javaEscape.ReplaceAllString(java, `\x{$1}`)
	if !innerAnchors.MatchString(java) {
		pattern = `^(?:` + pattern + `)$`
	}
	return regexp.Compile(pattern)
}

// violations collects what is wrong with an input, in the order of the model's members.
type violations []string

// message words the violations as AWS does: one message for all.
// Source: answers of the services, quoted in the Bedrock behaviour notes §1.3.
func (v violations) message() string {
	noun := "errors"
	if len(v) == 1 {
		noun = "error"
	}
	return fmt.Sprintf("%d validation %s detected: %s", len(v), noun, strings.Join(v, "; "))
}

// null records a required member that is not there.
func (v *violations) null(path string) {
	*v = append(*v, fmt.Sprintf("Value null at '%s' failed to satisfy constraint: Member must not be null", path))
}

// hidden stands for a value that a message does not repeat.
const hidden = "\x00"

// add records a broken constraint. A hidden value is left out, as AWS does for sensitive members.
func (v *violations) add(path, shown, constraint string) {
	if shown == hidden {
		shown = ""
	} else {
		shown = " '" + clip(shown) + "'"
	}
	*v = append(*v, fmt.Sprintf("Value%s at '%s' failed to satisfy constraint: %s", shown, path, constraint))
}

func clip(s string) string {
	if len(s) <= maxEcho {
		return s
	}
	return strings.ToValidUTF8(s[:maxEcho], "") + "…"
}

// show is what a message may repeat of a value: nothing of sensitive shapes and blobs.
func (s *shape) show(value string) string {
	if s.Sensitive || s.Type == typeBlob {
		return hidden
	}
	return value
}

// checkLength returns the broken length constraints of a string, blob, list or map of n units.
func (s *shape) checkLength(n int) []string {
	var broken []string
	if s.Max != nil && float64(n) > *s.Max {
		broken = append(broken, "Member must have length less than or equal to "+number(*s.Max))
	}
	if s.Min != nil && float64(n) < *s.Min {
		broken = append(broken, "Member must have length greater than or equal to "+number(*s.Min))
	}
	return broken
}

// checkString returns the broken constraints of a string.
func (s *shape) checkString(value string) []string {
	broken := s.checkLength(len([]rune(value)))
	if s.pattern != nil && !s.pattern.MatchString(value) {
		broken = append(broken, "Member must satisfy regular expression pattern: "+s.Pattern)
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, value) {
		broken = append(broken, "Member must satisfy enum value set: ["+strings.Join(s.Enum, ", ")+"]")
	}
	return broken
}

// checkNumber returns the broken constraints of a number.
func (s *shape) checkNumber(value float64) []string {
	var broken []string
	if s.Max != nil && value > *s.Max {
		broken = append(broken, "Member must have value less than or equal to "+number(*s.Max))
	}
	if s.Min != nil && value < *s.Min {
		broken = append(broken, "Member must have value greater than or equal to "+number(*s.Min))
	}
	return broken
}

// all lists every constraint of a scalar shape: AWS prints the whole set for elements of lists and maps.
func (s *shape) all() string {
	var set []string
	noun := "length"
	if s.Type != typeString && s.Type != typeBlob {
		noun = "value"
	}
	if s.Max != nil {
		set = append(set, "Member must have "+noun+" less than or equal to "+number(*s.Max))
	}
	if s.Min != nil {
		set = append(set, "Member must have "+noun+" greater than or equal to "+number(*s.Min))
	}
	if s.Pattern != "" {
		set = append(set, "Member must satisfy regular expression pattern: "+s.Pattern)
	}
	if len(s.Enum) > 0 {
		set = append(set, "Member must satisfy enum value set: ["+strings.Join(s.Enum, ", ")+"]")
	}
	return "[" + strings.Join(set, ", ") + "]"
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
