package wire

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// node is a parsed XML element without namespaces.
type node struct {
	name     string
	text     strings.Builder
	children []*node
}

// parseXML reads one XML document. Document types, and with them entities of the document's own, are
// refused: they expand small bodies into large ones and name files (XXE).
func parseXML(body []byte) (*node, error) {
	dec := xml.NewDecoder(bytes.NewReader(body))
	var root *node
	var stack []*node
	nodes := 0
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, malformedf("the body is not well-formed XML (at byte %d)", dec.InputOffset())
		}
		switch t := token.(type) {
		case xml.StartElement:
			if nodes++; nodes > maxNodes {
				return nil, malformedf("the body has more than %d elements", maxNodes)
			}
			if len(stack) >= maxDepth {
				return nil, malformedf("the body is nested deeper than %d levels", maxDepth)
			}
			e := &node{name: t.Name.Local}
			switch {
			case len(stack) > 0:
				parent := stack[len(stack)-1]
				parent.children = append(parent.children, e)
			case root == nil:
				root = e
			default:
				return nil, malformedf("the body has more than one root element")
			}
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text.Write(t)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return nil, malformedf("the body has text outside its root element")
			}
		case xml.Directive:
			return nil, malformedf("the body has a document type, which is not accepted")
		case xml.ProcInst:
			if t.Target != "xml" || root != nil {
				return nil, malformedf("the body has a processing instruction, which is not accepted")
			}
		}
	}
	if root == nil {
		return nil, malformedf("the body has no XML element")
	}
	return root, nil
}

func (e *node) all(name string) []*node {
	var out []*node
	for _, child := range e.children {
		if child.name == name {
			out = append(out, child)
		}
	}
	return out
}

// xmlMembers turns e's children into the members of s.
func xmlMembers(s *shape, e *node) map[string]any {
	tree := map[string]any{}
	for _, r := range s.Members {
		if !r.inBody() {
			continue
		}
		found := e.all(memberElement(r))
		if len(found) == 0 {
			continue
		}
		flat := r.Flattened || r.shape.Flattened
		switch {
		case r.shape.Type == typeList && flat:
			tree[r.Name] = xmlList(r.shape, found)
		case r.shape.Type == typeList:
			tree[r.Name] = xmlList(r.shape, found[0].all(r.shape.Member.nameOr("member")))
		case r.shape.Type == typeMap && flat:
			tree[r.Name] = xmlMap(r.shape, found)
		case r.shape.Type == typeMap:
			tree[r.Name] = xmlMap(r.shape, found[0].all("entry"))
		default:
			tree[r.Name] = xmlTree(r.shape, found[0])
		}
	}
	return tree
}

// memberElement is the element name of a member: a flattened list's elements carry the list's name, or
// the name of its member shape.
func memberElement(r *ref) string {
	if r.shape.Type == typeList && (r.Flattened || r.shape.Flattened) && r.LocationName == "" {
		return r.shape.Member.nameOr(r.Name)
	}
	return r.wireName()
}

func xmlList(s *shape, elements []*node) []any {
	out := make([]any, len(elements))
	for i, e := range elements {
		out[i] = xmlTree(s.Member.shape, e)
	}
	return out
}

func xmlMap(s *shape, entries []*node) map[string]any {
	out := map[string]any{}
	for _, entry := range entries {
		keys, values := entry.all(s.Key.nameOr("key")), entry.all(s.Value.nameOr("value"))
		if len(keys) == 1 && len(values) == 1 {
			out[keys[0].text.String()] = xmlTree(s.Value.shape, values[0])
		}
	}
	return out
}

func xmlTree(s *shape, e *node) any {
	switch s.Type {
	case typeStructure:
		return xmlMembers(s, e)
	case typeList:
		return xmlList(s, e.all(s.Member.nameOr("member")))
	case typeMap:
		return xmlMap(s, e.all("entry"))
	case typeString, typeBlob:
		return e.text.String()
	default:
		return strings.TrimSpace(e.text.String())
	}
}
