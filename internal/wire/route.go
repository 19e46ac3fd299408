package wire

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// route is how a request for one rest operation looks. Routes are matched on the escaped path, segment by
// segment, because identifiers in labels (ARNs, object keys) contain encoded slashes.
type route struct {
	op       *operation
	method   string
	segments []string          // "{Name}", "{Name+}" or literal
	query    map[string]string // keys that must be there; a non-empty value must be equal
	headers  []string          // headers that must be there
}

// router finds operations for rest protocols, the most specific route first.
type router struct {
	routes []route
	// selectors are the query keys that choose an operation ("acl", "uploadId"). A request that carries one
	// that its operation does not know is refused rather than taken for something else: DELETE ?acl must
	// never delete the object.
	selectors map[string]bool
}

var (
	errNoRoute  = errors.New("no operation has this method and path")
	errSelector = errors.New("the query names a subresource that this method and path do not have")
)

// directoryOnly are S3 operations of directory buckets, which live at other hosts under the routes of
// general-purpose operations. Source: S3 User Guide, "Regional and Zonal endpoint API operations".
func directoryOnly(operation string) bool {
	return operation == "ListDirectoryBuckets"
}

func newRouter(m *model) *router {
	rt := &router{selectors: map[string]bool{}}
	for _, op := range m.Operations {
		if directoryOnly(op.Name) {
			continue
		}
		path, rawQuery, _ := strings.Cut(op.HTTP.URI, "?")
		r := route{
			op: op, method: op.HTTP.Method, headers: op.HTTP.Headers,
			segments: strings.Split(strings.TrimPrefix(path, "/"), "/"),
			query:    map[string]string{},
		}
		for pair := range strings.SplitSeq(rawQuery, "&") {
			if key, value, _ := strings.Cut(pair, "="); key != "" {
				r.query[key] = value
				rt.selectors[key] = rt.selectors[key] || m.Metadata.Protocol == restXML
			}
		}
		for _, key := range op.HTTP.Query {
			r.query[key] = ""
			if key == "uploadId" || key == "partNumber" {
				rt.selectors[key] = true
			}
		}
		rt.routes = append(rt.routes, r)
	}
	slices.SortFunc(rt.routes, func(a, b route) int {
		return cmp.Or(-cmp.Compare(a.weight(), b.weight()), cmp.Compare(a.op.Name, b.op.Name))
	})
	return rt
}

func (r *route) weight() int {
	n := (len(r.query)+len(r.headers))*100 + len(r.segments)
	for _, s := range r.segments {
		if !strings.HasPrefix(s, "{") {
			n += 10
		}
	}
	return n
}

// find returns the operation of a request and the labels in its path.
func (rt *router) find(r *http.Request, query url.Values) (*operation, map[string]string, error) {
	segments := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	for i, s := range segments {
		decoded, err := url.PathUnescape(s)
		if err != nil {
			return nil, nil, errNoRoute
		}
		segments[i] = decoded
	}
	if len(segments) == 2 && segments[1] == "" { // "/bucket/" is the bucket
		segments = segments[:1]
	}
	for i := range rt.routes {
		candidate := &rt.routes[i]
		labels, ok := candidate.match(r, segments, query)
		if !ok {
			continue
		}
		for key := range query {
			if rt.selectors[key] && !candidate.knows(key) {
				return nil, nil, errSelector
			}
		}
		return candidate.op, labels, nil
	}
	return nil, nil, errNoRoute
}

func (r *route) match(req *http.Request, segments []string, query url.Values) (map[string]string, bool) {
	if req.Method != r.method {
		return nil, false
	}
	for _, h := range r.headers {
		if req.Header.Get(h) == "" {
			return nil, false
		}
	}
	for key, want := range r.query {
		got, ok := query[key]
		if !ok || (want != "" && got[0] != want) {
			return nil, false
		}
	}
	labels := map[string]string{}
	for i, pattern := range r.segments {
		switch {
		case strings.HasSuffix(pattern, "+}"):
			rest := ""
			if i < len(segments) {
				rest = strings.Join(segments[i:], "/")
			}
			labels[pattern[1:len(pattern)-2]] = rest
			return labels, rest != ""
		case i >= len(segments):
			return nil, false
		case strings.HasPrefix(pattern, "{"):
			if segments[i] == "" {
				return nil, false
			}
			labels[pattern[1:len(pattern)-1]] = segments[i]
		case pattern != segments[i]:
			return nil, false
		}
	}
	return labels, len(segments) == len(r.segments)
}

// knows says that the operation reads the query key. An unserved operation is answered as such anyway.
func (r *route) knows(key string) bool {
	if _, ok := r.query[key]; ok || !r.op.Served || r.op.Input == nil {
		return true
	}
	return slices.ContainsFunc(r.op.Input.shape.Members, func(m *ref) bool {
		return m.Location == "querystring" && m.wireName() == key
	})
}
