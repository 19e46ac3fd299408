package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,"x",null,true,{"b":1e9}]}`, `{"a":1,"a":2}`, `{"a":1}x`, `[`, strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), "{\"a\":\"\xff\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		object, err := parseJSON(body)
		if err != nil || len(bytes.TrimSpace(body)) == 0 {
			return
		}
		var other map[string]any
		if err := json.Unmarshal(body, &other); err != nil || len(other) != len(object) {
			t.Fatalf("accepted %q, which encoding/json reads as %v, %v", body, other, err)
		}
	})
}

func FuzzXML(f *testing.F) {
	for _, seed := range []string{`<a><b>c</b></a>`, `<?xml version="1.0"?><a/>`, `<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`, `<a>&b;</a>`, `<a/><b/>`, `<a>`, strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40), `<Delete><Object><Key>k</Key></Object></Delete>`} {
		f.Add([]byte(seed))
	}
	m, err := loadModel("s3")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		root, err := parseXML(body)
		if err != nil {
			return
		}
		if bytes.HasPrefix(body, []byte("<!DOCTYPE")) && !bytes.Contains(body, []byte("<!--")) && !bytes.Contains(body, []byte("CDATA")) {
			t.Fatalf("accepted a document type: %q", body)
		}
		for _, name := range []string{"Delete", "CompletedMultipartUpload", "ServerSideEncryptionConfiguration"} {
			xmlMembers(m.Shapes[name], root)
		}
	})
}

func FuzzForm(f *testing.F) {
	for _, seed := range []string{"Action=CreateRole&Tags.member.1.Key=a&Tags.member.1.Value=b", "a=1&a=2", "%zz", "Tags.member.999999999.Key=x", "Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1&SubnetId.2=x", "Tags.member.1=x&Tags=y"} {
		f.Add(seed)
	}
	m, ec2 := testModel(f, "iam"), testModel(f, "ec2")
	f.Fuzz(func(t *testing.T, body string) {
		form, err := parseForm(body)
		if err != nil {
			return
		}
		newFormReader(form, false).members(m.byName["CreateRole"].Input.shape, "")
		newFormReader(form, true).members(ec2.byName["DescribeSubnets"].Input.shape, "")
	})
}

// FuzzRoute wants every request to S3 to be one operation or refused, and a selector never to be dropped.
func FuzzRoute(f *testing.F) {
	for _, seed := range [][3]string{{"GET", "/b/k", ""}, {"DELETE", "/b/k", "acl"}, {"PUT", "/b/a%2Fb//c", "partNumber=1&uploadId=x"}, {"GET", "/", ""}, {"POST", "/b/", "delete"}, {"GET", "/b", "list-type=2"}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	m, err := loadModel("s3")
	if err != nil {
		f.Fatal(err)
	}
	router := newRouter(m)
	f.Fuzz(func(t *testing.T, method, path, rawQuery string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		query, err := url.ParseQuery(rawQuery)
		if err != nil {
			return
		}
		op, labels, err := router.find(&http.Request{Method: method, URL: u, Header: http.Header{}}, query)
		if err != nil {
			return
		}
		if op.HTTP.Method != method {
			t.Fatalf("%s was routed to %s", method, op.Name)
		}
		if strings.Contains(op.HTTP.URI, "{Key+}") && labels["Key"] == "" {
			t.Fatalf("%s without a key", op.Name)
		}
		if query.Has("acl") && op.Served {
			t.Fatalf("%s took a request with ?acl", op.Name)
		}
	})
}

// FuzzService sends bodies to each protocol's operations; nothing may panic or answer 500.
func FuzzService(f *testing.F) {
	f.Add("bedrock", `{"jobName":"x","vpcConfig":{"subnetIds":["a"]},"customizationConfig":{"rftConfig":{}}}`)
	f.Add("kms", `{"KeyId":"k","Plaintext":"AA==","EncryptionContext":{"a":"b"}}`)
	f.Add("iam", "Action=CreateRole&RoleName=r&AssumeRolePolicyDocument=x&Tags.member.1.Key=a")
	f.Add("s3", "<Delete><Object><Key>a</Key><Size>x</Size></Object></Delete>")
	services := map[string]*Service{}
	for name := range clients() {
		var s *Service
		s = bindAll(f, name, func(_ context.Context, operation string, _ any) (any, error) {
			return reflect.New(s.ops[operation].out).Interface(), nil
		})
		services[name] = s
	}
	target := map[string]string{"bedrock": "/model-customization-jobs", "kms": "/", "iam": "/", "sts": "/", "s3": "/bucket?delete"}
	f.Fuzz(func(t *testing.T, name, body string) {
		s := services[name]
		if s == nil {
			return
		}
		r := httptest.NewRequest(http.MethodPost, target[name], strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "TrentService.Encrypt")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError {
			t.Fatalf("%s answered %d to %q: %s", name, w.Code, body, w.Body)
		}
	})
}
