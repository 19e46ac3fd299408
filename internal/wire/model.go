// Package wire speaks AWS's wire protocols on the server's side: it finds the operation that a request
// means, decodes and validates it into the SDK's input structure, calls a method with the SDK client's own
// signature, and encodes the SDK's output structure or the error. It serves rest-json, json 1.1, query, ec2
// and rest-xml from AWS's API models (models/*.json.gz, cut from botocore by trim.py).
//
// It is not for authentication, authorization or routing between services: package api does the first and
// the last, services the second.
//
// The one thing to know: shapes in the model and fields in the SDK meet by name, through reflection.
// Service.Audit says where they do not, and a test wants it to say nothing.
//
// Sources: Smithy 2.0 specification, "AWS protocols"; the AWS API references of the services.
package wire

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

//go:embed models/*.json.gz
var modelFiles embed.FS

// The protocols that are served, as the models name them.
const (
	restJSON  = "rest-json"
	json11    = "json"
	queryForm = "query"
	ec2Form   = "ec2"
	restXML   = "rest-xml"
)

// The shape types of the models.
const (
	typeStructure = "structure"
	typeList      = "list"
	typeMap       = "map"
	typeString    = "string"
	typeBlob      = "blob"
	typeBoolean   = "boolean"
	typeInteger   = "integer"
	typeLong      = "long"
	typeFloat     = "float"
	typeDouble    = "double"
	typeTimestamp = "timestamp"
)

// model is one service's API description. It does not change after loading.
type model struct {
	Metadata struct {
		APIVersion     string `json:"apiVersion"`
		EndpointPrefix string `json:"endpointPrefix"`
		JSONVersion    string `json:"jsonVersion"`
		Protocol       string `json:"protocol"`
		TargetPrefix   string `json:"targetPrefix"`
		XMLNamespace   string `json:"xmlNamespace"`
	} `json:"metadata"`
	Operations []*operation      `json:"operations"`
	Shapes     map[string]*shape `json:"shapes"`
	name       string
	byName     map[string]*operation
	byCode     map[string]*shape // exceptions by shape name and by wire code
}

type operation struct {
	Name string `json:"name"`
	// Served says that the model has this operation's shapes.
	Served bool `json:"served"`
	HTTP   struct {
		Method  string   `json:"method"`
		URI     string   `json:"uri"`
		Code    int      `json:"code"`
		Query   []string `json:"query"`
		Headers []string `json:"headers"`
	} `json:"http"`
	Input  *ref `json:"input"`
	Output *ref `json:"output"`
}

// ref is a use of a shape: a member, a list's element, a map's key or value.
type ref struct {
	Name            string `json:"name"` // of members only
	Shape           string `json:"shape"`
	Location        string `json:"location"`
	LocationName    string `json:"locationName"`
	QueryName       string `json:"queryName"` // of the ec2 protocol only
	Streaming       bool   `json:"streaming"`
	Flattened       bool   `json:"flattened"`
	XMLAttribute    bool   `json:"xmlAttribute"`
	TimestampFormat string `json:"timestampFormat"`
	XMLNamespace    string `json:"xmlNamespace"`
	ResultWrapper   string `json:"resultWrapper"`
	shape           *shape
}

type shape struct {
	Type            string   `json:"type"`
	Members         []*ref   `json:"members"`
	Required        []string `json:"required"`
	Member          *ref     `json:"member"`
	Key             *ref     `json:"key"`
	Value           *ref     `json:"value"`
	Min             *float64 `json:"min"`
	Max             *float64 `json:"max"`
	Pattern         string   `json:"pattern"`
	Enum            []string `json:"enum"`
	Payload         string   `json:"payload"`
	Flattened       bool     `json:"flattened"`
	Union           bool     `json:"union"`
	Sensitive       bool     `json:"sensitive"`
	TimestampFormat string   `json:"timestampFormat"`
	LocationName    string   `json:"locationName"`
	XMLNamespace    string   `json:"xmlNamespace"`
	Exception       bool     `json:"exception"`
	Fault           bool     `json:"fault"`
	Error           *struct {
		Code           string `json:"code"`
		HTTPStatusCode int    `json:"httpStatusCode"`
		SenderFault    bool   `json:"senderFault"`
	} `json:"error"`
	name    string
	pattern *regexp.Regexp
}

func loadModel(name string) (*model, error) {
	packed, err := modelFiles.ReadFile("models/" + name + ".json.gz")
	if err != nil {
		return nil, fmt.Errorf("no API model of service %q: %w", name, err)
	}
	return readModel(name, packed)
}

// readModel reads a model as trim.py writes it.
func readModel(name string, packed []byte) (*model, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack model of %s: %w", name, err)
	}
	m := &model{name: name, byName: map[string]*operation{}, byCode: map[string]*shape{}}
	if err := json.NewDecoder(unpacked).Decode(m); err != nil {
		return nil, fmt.Errorf("read model of %s: %w", name, err)
	}
	for _, op := range m.Operations {
		m.byName[op.Name] = op
		if err := m.resolve(op.Input, op.Output); err != nil {
			return nil, err
		}
	}
	for shapeName, s := range m.Shapes {
		s.name = shapeName
		if err := m.resolve(append([]*ref{s.Member, s.Key, s.Value}, s.Members...)...); err != nil {
			return nil, err
		}
		if s.pattern, err = compilePattern(s.Pattern); err != nil {
			return nil, fmt.Errorf("model of %s, shape %s: %w", name, shapeName, err)
		}
		if s.Exception {
			m.byCode[shapeName] = s
			if s.Error != nil && s.Error.Code != "" {
				m.byCode[s.Error.Code] = s
			}
		}
	}
	return m, nil
}

// resolve points every ref at its shape.
func (m *model) resolve(refs ...*ref) error {
	for _, r := range refs {
		if r == nil {
			continue
		}
		if r.shape = m.Shapes[r.Shape]; r.shape == nil {
			return fmt.Errorf("model of %s has no shape %s", m.name, r.Shape)
		}
	}
	return nil
}

// fieldName is the SDK's name for a model's member.
func fieldName(member string) string { return strings.ToUpper(member[:1]) + member[1:] }

// wireName is the name of r on the wire.
func (r *ref) wireName() string {
	if r.LocationName != "" {
		return r.LocationName
	}
	return r.Name
}

func (r *ref) nameOr(fallback string) string {
	if r.LocationName != "" {
		return r.LocationName
	}
	return fallback
}

// ec2Name is the name of r in a form of the ec2 protocol.
// Source: Smithy 2.0 specification, "AWS EC2 query protocol", "Query key resolution".
func (r *ref) ec2Name() string {
	switch {
	case r.QueryName != "":
		return r.QueryName
	case r.LocationName != "":
		return fieldName(r.LocationName)
	default:
		return fieldName(r.Name)
	}
}

// inBody says that the member is an element or a name of the message's body.
func (r *ref) inBody() bool { return r.Location == "" && !r.XMLAttribute }

func (s *shape) requires(member string) bool { return slices.Contains(s.Required, member) }

func (s *shape) member(name string) *ref {
	for _, r := range s.Members {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// payload is the member that is the whole body, or nil.
func (s *shape) payload() *ref {
	if s.Payload == "" {
		return nil
	}
	return s.member(s.Payload)
}

// scalar says that values of s have no parts.
func (s *shape) scalar() bool {
	return s.Type != typeStructure && s.Type != typeList && s.Type != typeMap
}
