package awscall

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"
)

// TestErrors wants one line of what went wrong, without the SDK's layers, and AWS's error below it.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status     int
		body, want string
	}{
		{400, `{"message":"no such thing"}`, "bedrock:GetCustomModel: ValidationException: no such thing (request 1-2-3)"},
		{500, `<!doctype html>`, "bedrock:GetCustomModel: the answer, of status 500, cannot be read"},
		{0, "", "bedrock:GetCustomModel: EOF"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if c.status == 0 {
				panic(http.ErrAbortHandler)
			}
			w.Header().Set("X-Amzn-Errortype", "ValidationException")
			w.Header().Set("X-Amzn-Requestid", "1-2-3")
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		}))
		t.Cleanup(server.Close)
		client := New(0, func(string) aws.Config {
			return aws.Config{
				Region: "us-east-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
				Credentials: credentials.NewStaticCredentialsProvider("AKIA", "secret", ""),
			}
		})
		_, err := client.Call(t.Context(), "bedrock:GetCustomModel", json.RawMessage(`{"modelIdentifier":"m"}`))
		if err == nil || err.Error() != c.want {
			t.Errorf("status %d: %v, want %s", c.status, err, c.want)
		}
		if _, ok := errors.AsType[smithy.APIError](err); ok != strings.Contains(c.want, "ValidationException") {
			t.Errorf("status %d: that it is AWS's error is %t", c.status, ok)
		}
	}
}
