package awsfake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Patch changes one place of a world before it is read. In YAML its members are path, set and delete.
type Patch struct {
	// Path is a JSON pointer (RFC 6901) into the world's tree. The last token "-" appends to a list. Maps and
	// lists on the way that do not exist yet are made.
	Path string `yaml:"path"`
	// Set is the new value: anything that YAML can write.
	Set any `yaml:"set"`
	// Delete removes what is at Path, which must be there.
	Delete bool `yaml:"delete"`
}

// parseTree reads one YAML document as map[string]any, []any, string, bool and json.Number, the tree that
// wire.Service.Fill takes. Dates stay text.
func parseTree(r io.Reader) (any, error) {
	dec := yaml.NewDecoder(r)
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("read YAML: %w", err)
	}
	if err := dec.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("read YAML: there is more than one document")
	}
	return plain(&doc)
}

func plain(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.DocumentNode:
		return plain(n.Content[0])
	case yaml.AliasNode:
		return plain(n.Alias)
	case yaml.MappingNode:
		return plainMap(n)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, child := range n.Content {
			v, err := plain(child)
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	default:
		return plainScalar(n)
	}
}

func plainMap(n *yaml.Node) (any, error) {
	tree := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			return nil, fmt.Errorf("line %d: a name is expected", key.Line)
		}
		if _, twice := tree[key.Value]; twice {
			return nil, fmt.Errorf("line %d: %q is there twice", key.Line, key.Value)
		}
		v, err := plain(n.Content[i+1])
		if err != nil {
			return nil, err
		}
		tree[key.Value] = v
	}
	return tree, nil
}

func plainScalar(n *yaml.Node) (any, error) {
	switch n.Tag {
	case "!!null":
		return nil, nil
	case "!!bool":
		var b bool
		err := n.Decode(&b)
		return b, err
	case "!!int":
		var i int64
		if err := n.Decode(&i); err != nil {
			return nil, err
		}
		return json.Number(strconv.FormatInt(i, 10)), nil
	case "!!float":
		var f float64
		if err := n.Decode(&f); err != nil {
			return nil, err
		}
		return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), nil
	default:
		return n.Value, nil
	}
}

// apply returns the tree with p applied to it.
func apply(tree any, p Patch) (any, error) {
	rest, ok := strings.CutPrefix(p.Path, "/")
	if !ok {
		return nil, fmt.Errorf("patch %q: the path must begin with a slash", p.Path)
	}
	tokens := strings.Split(rest, "/")
	for i, token := range tokens {
		tokens[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
	}
	value := p.Set
	if p.Delete {
		if p.Set != nil {
			return nil, fmt.Errorf("patch %q: it has both set and delete", p.Path)
		}
	} else {
		var n yaml.Node
		err := n.Encode(p.Set)
		if err == nil {
			value, err = plain(&n)
		}
		if err != nil {
			return nil, fmt.Errorf("patch %q: %w", p.Path, err)
		}
	}
	out, err := change(tree, tokens, value, p.Delete)
	if err != nil {
		return nil, fmt.Errorf("patch %q: %w", p.Path, err)
	}
	return out, nil
}

func change(tree any, tokens []string, value any, remove bool) (any, error) {
	if len(tokens) == 0 {
		return value, nil
	}
	switch x := tree.(type) {
	case map[string]any:
		return changeMap(x, tokens, value, remove)
	case []any:
		return changeList(x, tokens, value, remove)
	case nil:
		if remove {
			return nil, fmt.Errorf("there is nothing at %q", tokens[0])
		}
		if tokens[0] == "-" {
			return changeList(nil, tokens, value, false)
		}
		return changeMap(nil, tokens, value, false)
	default:
		return nil, fmt.Errorf("%q is below %v, which has no parts", tokens[0], tree)
	}
}

func changeMap(tree map[string]any, tokens []string, value any, remove bool) (any, error) {
	out := maps.Clone(tree)
	if out == nil {
		out = map[string]any{}
	}
	name := tokens[0]
	if remove && len(tokens) == 1 {
		if _, ok := out[name]; !ok {
			return nil, fmt.Errorf("there is no %q to delete; there are %q", name, slices.Sorted(maps.Keys(out)))
		}
		delete(out, name)
		return out, nil
	}
	below, err := change(out[name], tokens[1:], value, remove)
	out[name] = below
	return out, err
}

func changeList(list []any, tokens []string, value any, remove bool) (any, error) {
	out := slices.Clone(list)
	if tokens[0] == "-" && !remove {
		added, err := change(nil, tokens[1:], value, false)
		return append(out, added), err
	}
	i, err := strconv.Atoi(tokens[0])
	if err != nil || i < 0 || i >= len(out) {
		return nil, fmt.Errorf("%q is not an element of a list of %d", tokens[0], len(out))
	}
	if remove && len(tokens) == 1 {
		return slices.Delete(out, i, i+1), nil
	}
	out[i], err = change(out[i], tokens[1:], value, remove)
	return out, err
}
