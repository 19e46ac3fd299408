package markup

import (
	"fmt"
	"strings"
)

// state is where in a fragment the cursor is.
type state int

const (
	inText  state = iota
	inTag         // in the name of an element
	between       // in a tag, where a name of an attribute may begin
	inName        // in the name of an attribute
	inValue       // in the double quotes of an attribute's value
)

// cursor goes through a fragment, byte by byte. It knows the HTML that our fragments are written in, which is less than
// browsers take; it refuses the rest.
type cursor struct {
	state           state
	element, attr   constant
	tag, name, from int // where the element's name, the attribute's name and its value begin
}

// step goes past the byte at i.
func (c *cursor) step(f constant, i int) error {
	b := f[i]
	switch c.state {
	case inText:
		if b == '<' {
			c.state, c.tag = inTag, i+1
		}
	case inTag:
		if b == '>' || space(b) || b == '/' && i > c.tag {
			c.element = f[c.tag:i]
			if !allowed(c.element) {
				return fmt.Errorf("<%s> is no name, or its content would not be text", c.element)
			}
			c.leave(b)
		}
	case between:
		switch {
		case alphanumeric(b):
			c.state, c.name = inName, i
		case space(b), b == '/', b == '>':
			c.leave(b)
		default:
			return fmt.Errorf("a stray %q in a tag", b)
		}
	case inName:
		equals := f[i-1] == '='
		switch {
		case b == '"' && equals:
			c.state, c.attr, c.from = inValue, f[c.name:i-1], i+1
		case !equals && (b == '=' || b == '-' || alphanumeric(b)):
		case !equals && (space(b) || b == '>'):
			c.leave(b)
		default:
			return fmt.Errorf("a stray %q in a tag", b)
		}
	case inValue:
		if b == '"' {
			c.state = between
		}
	}
	return nil
}

// leave ends a name.
func (c *cursor) leave(b byte) {
	c.state = between
	if b == '>' {
		c.state = inText
	}
}

// escape is how a value is written at i, nil where none may be.
func (c *cursor) escape(f constant, i int) func(*Writer, string) {
	switch {
	case c.state == inText:
		return (*Writer).text
	case c.state != inValue:
		return nil
	case c.attr == "class":
		return (*Writer).class
	case c.attr == "href" && c.element == "a" && i == c.from:
		return (*Writer).link
	case c.attr == "href" && c.element == "a" && (f[c.from] == '#' || f[c.from] == '?'):
		return (*Writer).linkPart
	case inert(string(c.attr)):
		return (*Writer).text
	default:
		return nil
	}
}

// inert says of an attribute that browsers neither run nor load what it says.
func inert(attr string) bool {
	switch attr {
	case "id", "title", "value", "content", "x", "width":
		return true
	default:
		return strings.HasPrefix(attr, "data-") || strings.HasPrefix(attr, "aria-")
	}
}

// allowed says of an element that what it holds is elements and text with entities (HTML standard, 13.1.2).
func allowed(element constant) bool {
	name := strings.ToLower(strings.TrimPrefix(string(element), "/"))
	switch name {
	case "!doctype":
		return true
	case "", "script", "style", "iframe", "noembed", "noframes", "noscript", "plaintext", "xmp", "template", "object", "embed", "base":
		return false
	}
	for i := range len(name) {
		if !alphanumeric(name[i]) {
			return false
		}
	}
	return true
}

func space(b byte) bool { return b == ' ' || b == '\n' || b == '\t' }
