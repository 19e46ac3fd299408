package wire

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// The XML namespaces of S3's documents and of S3 Control's.
const (
	s3Namespace      = "http://s3.amazonaws.com/doc/2006-03-01/"
	controlNamespace = "http://awss3control.amazonaws.com/doc/2018-08-20/"
)

// control says that s is S3 Control, the one rest-xml service beside S3.
func (s *Service) control() bool { return s.model.Metadata.EndpointPrefix == "s3-control" }

// namespace is the XML namespace of a rest-xml service's documents.
func (s *Service) namespace() string {
	if s.control() {
		return controlNamespace
	}
	return s3Namespace
}

// answer is an encoded response.
type answer struct {
	status int
	header http.Header
	body   []byte
	stream io.ReadCloser // instead of body
}

func (s *Service) newEncoder() *encoder {
	e := &encoder{unions: s.unions, timestamps: "iso8601"}
	switch s.model.Metadata.Protocol {
	case json11:
		e.timestamps = "unixTimestamp"
	case queryForm:
		e.wholeSeconds = true
	}
	return e
}

// encode turns out, a pointer to the SDK's output structure, into a response.
func (s *Service) encode(op *operation, out any, requestID string) (answer, error) {
	a := answer{status: http.StatusOK, header: http.Header{}}
	if op.HTTP.Code != 0 {
		a.status = op.HTTP.Code
	}
	v := reflect.ValueOf(out)
	if v.Kind() == reflect.Pointer && v.IsNil() {
		v = reflect.New(v.Type().Elem()) // a method that answers nil means an empty output
	}
	v = v.Elem()
	e := s.newEncoder()
	switch s.model.Metadata.Protocol {
	case json11:
		a.header.Set("Content-Type", "application/x-amz-json-"+s.model.Metadata.JSONVersion)
		if op.Output != nil {
			e.jsonObject(op.Output.shape, v)
		}
	case queryForm:
		a.header.Set("Content-Type", "text/xml")
		e.buf.WriteString(`<` + op.Name + `Response xmlns="` + s.model.Metadata.XMLNamespace + `">`)
		if op.Output != nil {
			result := op.Output.ResultWrapper
			if result == "" {
				result = op.Name + "Result"
			}
			e.buf.WriteString("<" + result + ">")
			e.xmlFields(op.Output.shape, v)
			e.buf.WriteString("</" + result + ">")
		}
		e.buf.WriteString("<ResponseMetadata><RequestId>")
		e.xmlText(requestID)
		e.buf.WriteString("</RequestId></ResponseMetadata></" + op.Name + "Response>")
	case ec2Form:
		a.header.Set("Content-Type", "text/xml;charset=UTF-8")
		e.buf.WriteString(xml.Header + `<` + op.Name + `Response xmlns="` + s.model.Metadata.XMLNamespace + `/">`)
		e.xmlPairs("requestId", requestID)
		if op.Output != nil {
			e.xmlFields(op.Output.shape, v)
		}
		e.buf.WriteString("</" + op.Name + "Response>")
	default:
		s.encodeRest(e, op, v, &a)
	}
	a.body = bytes.Clone(e.buf.Bytes())
	return a, e.err
}

func (s *Service) encodeRest(e *encoder, op *operation, v reflect.Value, a *answer) {
	if op.Output == nil {
		return
	}
	output := op.Output.shape
	for _, r := range output.Members {
		field, ok := present(v.FieldByName(fieldName(r.Name)))
		if !ok {
			continue
		}
		switch r.Location {
		case "header":
			text := ""
			if r.shape.Type == typeTimestamp {
				text = e.timestamp(r, field.Interface().(time.Time), "rfc822")
			} else {
				text = e.plain(r.shape, field)
			}
			if text != "" {
				a.header.Set(r.wireName(), text)
			}
		case "headers":
			for _, key := range sortedKeys(field) {
				// Not canonical: botocore takes a key's letters as they come, and S3 sends small ones.
				a.header[strings.ToLower(r.wireName()+key)] = []string{field.MapIndex(reflect.ValueOf(key)).String()}
			}
		case "statusCode":
			a.status = int(field.Int())
		}
	}
	payload := output.payload()
	switch {
	case payload != nil && payload.Streaming:
		a.stream, _ = reflect.TypeAssert[io.ReadCloser](v.FieldByName(fieldName(payload.Name)))
		if a.header.Get("Content-Range") != "" {
			a.status = http.StatusPartialContent
		}
	case payload != nil:
		s.encodePayload(e, payload, v, a)
	case s.model.Metadata.Protocol == restJSON:
		a.header.Set("Content-Type", "application/json")
		e.jsonObject(output, v)
	case hasBody(output):
		s.encodeDocument(e, op, v, a)
	}
}

func (s *Service) encodePayload(e *encoder, payload *ref, v reflect.Value, a *answer) {
	field, ok := present(v.FieldByName(fieldName(payload.Name)))
	if !ok {
		return
	}
	switch {
	case payload.shape.Type == typeBlob:
		e.buf.Write(field.Bytes())
	case payload.shape.scalar():
		e.buf.WriteString(e.plain(payload.shape, field))
	case s.model.Metadata.Protocol == restXML:
		a.header.Set("Content-Type", "application/xml")
		e.buf.WriteString(xml.Header)
		name := payload.wireName()
		e.buf.WriteString("<" + name + ` xmlns="` + s.namespace() + `">`)
		e.xmlFields(payload.shape, field)
		e.buf.WriteString("</" + name + ">")
	default:
		a.header.Set("Content-Type", "application/json")
		e.json(payload, field)
	}
}

// encodeDocument writes an S3 output whose members are the children of one root element.
func (s *Service) encodeDocument(e *encoder, op *operation, v reflect.Value, a *answer) {
	a.header.Set("Content-Type", "application/xml")
	e.buf.WriteString(xml.Header)
	output := op.Output.shape
	name := rootElement(op)
	if op.Name == "GetBucketLocation" { // the root element is the value itself, unlike the model
		name = "LocationConstraint"
		e.buf.WriteString("<" + name + ` xmlns="` + s3Namespace + `">`)
		e.xmlText(v.FieldByName(name).String())
	} else {
		e.buf.WriteString("<" + name + ` xmlns="` + s3Namespace + `">`)
		e.xmlFields(output, v)
	}
	e.buf.WriteString("</" + name + ">")
}

// rootElement is the name of an S3 document's root, which botocore's model leaves out: most clients ignore it,
// strict ones do not.
// Source: S3 API Reference, "Response Syntax" of each operation.
func rootElement(op *operation) string {
	switch op.Name {
	case "ListBuckets":
		return "ListAllMyBucketsResult"
	case "ListObjects", "ListObjectsV2":
		return "ListBucketResult"
	case "ListParts", "ListMultipartUploads":
		return op.Name + "Result"
	case "DeleteObjects":
		return "DeleteResult"
	case "CreateMultipartUpload":
		return "InitiateMultipartUploadResult"
	case "CompleteMultipartUpload":
		return "CompleteMultipartUploadResult"
	}
	if op.Output.LocationName != "" {
		return op.Output.LocationName
	}
	return op.Output.shape.name
}

// firstPart is how much of a stream is read before the status goes out, in bytes: an object that turns out
// to be damaged at its beginning gives an error rather than a broken connection.
const firstPart = 64 << 10

// write sends an answer. An error of the stream after the status is out aborts the connection: the client
// must not take a part for the whole.
func (a *answer) write(w http.ResponseWriter, r *http.Request) (started bool, err error) {
	var first []byte
	if a.stream != nil && r.Method != http.MethodHead {
		first = make([]byte, firstPart)
		n, err := io.ReadFull(a.stream, first)
		if first = first[:n]; err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return false, err
		}
	}
	maps.Copy(w.Header(), a.header)
	if a.header.Get("Content-Type") == "" {
		w.Header()["Content-Type"] = nil // net/http would guess one from the data
	}
	if a.stream == nil && r.Method != http.MethodHead && bodyAllowed(a.status) {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	if r.Method == http.MethodHead || !bodyAllowed(a.status) {
		return true, nil
	}
	if a.stream == nil {
		_, err = w.Write(a.body)
		return true, err
	}
	if _, err = w.Write(first); err != nil {
		return true, err
	}
	_, err = io.Copy(w, a.stream)
	return true, err
}

func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified && status >= 200
}
