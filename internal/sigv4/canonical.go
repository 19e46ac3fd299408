package sigv4

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// canonicalRequest is the text that is signed, for a payload hash.
func canonicalRequest(r *http.Request, s *Scope, payload string) (string, error) {
	uri, err := canonicalPath(rawPath(r), s.Service == serviceS3)
	if err != nil {
		return "", err
	}
	query, err := canonicalQuery(r.URL.RawQuery)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(r.Method + "\n" + uri + "\n" + query + "\n")
	for _, name := range s.signed {
		b.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(s.signed, ";") + "\n" + payload)
	return b.String(), nil
}

// rawPath is the path as it was sent: ARNs in path labels keep their encoded slashes.
func rawPath(r *http.Request) string {
	raw, _, _ := strings.Cut(r.RequestURI, "?")
	if i := strings.Index(raw, "://"); i >= 0 { // absolute form
		raw = raw[i+3:]
		if i = strings.IndexByte(raw, '/'); i < 0 {
			return "/"
		}
		raw = raw[i:]
	}
	if raw == "" {
		return r.URL.EscapedPath()
	}
	return raw
}

// canonicalPath encodes the path. S3 decodes and encodes each segment once and leaves the path as it is otherwise; every
// other service removes dot segments and encodes the path as sent, so that "%2F" becomes "%252F".
func canonicalPath(raw string, s3 bool) (string, error) {
	if raw == "" {
		return "/", nil
	}
	if s3 {
		segments := strings.Split(raw, "/")
		for i, s := range segments {
			decoded, err := url.PathUnescape(s)
			if err != nil {
				return "", problemf(Malformed, "the path is not percent-encoded properly")
			}
			segments[i] = encode(decoded, false)
		}
		return strings.Join(segments, "/"), nil
	}
	clean := path.Clean("/" + raw)
	if strings.HasSuffix(raw, "/") || strings.HasSuffix(raw, "/.") || strings.HasSuffix(raw, "/..") {
		clean = strings.TrimSuffix(clean, "/") + "/"
	}
	return encode(clean, true), nil
}

// canonicalQuery decodes, encodes and sorts the query. A plus is a plus.
func canonicalQuery(raw string) (string, error) {
	var pairs [][2]string
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, errName := url.PathUnescape(name)
		value, errValue := url.PathUnescape(value)
		if errName != nil || errValue != nil {
			return "", problemf(Malformed, "the query string is not percent-encoded properly")
		}
		pairs = append(pairs, [2]string{encode(name, false), encode(value, false)})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		if c := strings.Compare(a[0], b[0]); c != 0 {
			return c
		}
		return strings.Compare(a[1], b[1])
	})
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p[0] + "=" + p[1])
	}
	return b.String(), nil
}

func headerValue(r *http.Request, name string) string {
	switch name {
	case "host":
		return r.Host
	case "content-length":
		return strconv.FormatInt(r.ContentLength, 10)
	case "transfer-encoding":
		return strings.Join(r.TransferEncoding, ",")
	}
	values := slices.Clone(r.Header.Values(name))
	for i, v := range values {
		values[i] = squeeze(v)
	}
	return strings.Join(values, ",")
}

// squeeze trims a value and makes every run of spaces one.
func squeeze(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' }), " ")
}

// encode percent-encodes all but RFC 3986's unreserved characters.
func encode(s string, keepSlash bool) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9',
			c == '-', c == '.', c == '_', c == '~', c == '/' && keepSlash:
			b.WriteByte(c)
		default:
			b.WriteString("%" + string(hexDigits[c>>4]) + string(hexDigits[c&15]))
		}
	}
	return b.String()
}
