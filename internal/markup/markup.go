// Package markup writes HTML as a stream: fragments, which are constants of the program, with {} where values go. Each
// value is escaped for its place, which the writer sees for itself: text, an attribute, a class, a link. It is no
// template language: what repeats or depends is Go. The balance of elements is the business of its callers.
//
// The one thing to know: nothing that is not in the source reaches a page unescaped, which the types say. A fragment is of
// a type that only constants convert to, and styles and scripts come from embedded files. It stands where html/template
// stood, which finds methods by name, so that the linker kept every method of every package.
//
// The places and escapes are those of html/template and of the HTML standard, 13.2.5 (tokenization).
package markup

import (
	"fmt"
	"io"
)

// constant is text of the program: other packages cannot name the type, so what they hand over are constants.
type constant string

// Writer writes a page. It keeps the first error and writes nothing after it. It is not for concurrent use.
type Writer struct {
	w   io.StringWriter
	err error
}

// New returns a Writer to w, which should have a buffer.
func New(w io.StringWriter) *Writer { return &Writer{w: w} }

// Err is the first error: one of the writer below, or a fragment with a value where none may be.
func (w *Writer) Err() error { return w.err }

// Put writes a fragment, whole tags and text, with the values in the places of {}. Text may have values, and so may these
// attributes in double quotes: class (other characters than letters, digits, -, _ and spaces become _), the href of a
// (https or relative, or # instead), and those that browsers only show or look up. Everything else is an error.
func (w *Writer) Put(fragment constant, values ...string) {
	var c cursor
	start := 0
	for i := 0; i < len(fragment) && w.err == nil; i++ {
		if fragment[i] != '{' || i+1 == len(fragment) || fragment[i+1] != '}' {
			w.keep(c.step(fragment, i), fragment)
			continue
		}
		escape := c.escape(fragment, i)
		if escape == nil || len(values) == 0 {
			w.keep(fmt.Errorf("no value can be at byte %d, or there is none", i), fragment)
			return
		}
		w.write(string(fragment[start:i]))
		escape(w, values[0])
		values = values[1:]
		i++ // the }
		start = i + 1
	}
	if w.err == nil && (c.state != inText || len(values) > 0) {
		w.keep(fmt.Errorf("%d values too many, or the end is in a tag", len(values)), fragment)
	}
	w.write(string(fragment[start:]))
}

// PutIf is Put of a fragment with one value, if the value is not empty.
func (w *Writer) PutIf(fragment constant, value string) {
	if value != "" {
		w.Put(fragment, value)
	}
}

// Each is Put of a fragment with one value, for every value.
func (w *Writer) Each(fragment constant, values []string) {
	for _, value := range values {
		w.Put(fragment, value)
	}
}

// keep keeps the error of a fragment, if there is one.
func (w *Writer) keep(err error, fragment constant) {
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("fragment %.40q: %w", fragment, err)
	}
}

func (w *Writer) write(s string) {
	if w.err == nil && s != "" {
		_, w.err = w.w.WriteString(s)
	}
}
