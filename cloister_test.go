package cloister_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"example.com/cloister"
)

func TestParseARN(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text     string
		ok       bool
		kind, id string
	}{
		{"arn:aws:iam::123456789012:role/service-role/x", true, "role", "service-role/x"},
		{"arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-text-lite-v1:0:4k", true, "foundation-model", "amazon.titan-text-lite-v1:0:4k"},
		{"arn:aws:s3:::bucket/key", true, "bucket", "key"},
		{"arn:aws:s3:::bucket", true, "", "bucket"},
		{"arn:aws:logs:us-east-1:1:log-group:x", true, "log-group", "x"},
		{"arn:aws:iam::123456789012:", false, "", ""},
		{"arn:aws:iam::123456789012", false, "", ""},
		{"arn::iam::123456789012:root", false, "", ""},
		{"nra:aws:iam::123456789012:root", false, "", ""},
		{"", false, "", ""},
		{"arn:aws:s3:::" + strings.Repeat("x", 2048), false, "", ""},
	}
	for _, tt := range tests {
		arn, err := cloister.ParseARN(tt.text)
		if (err == nil) != tt.ok {
			t.Errorf("ParseARN(%.60q) = %v, want ok %v", tt.text, err, tt.ok)
			continue
		}
		if kind, id := arn.Type(); tt.ok && (kind != tt.kind || id != tt.id || arn.String() != tt.text) {
			t.Errorf("ParseARN(%q): type %q, id %q, prints %q", tt.text, kind, id, arn)
		}
	}
}

func FuzzParseARN(f *testing.F) {
	f.Add("arn:aws:iam::123456789012:role/x")
	f.Add("arn:aws:s3:::b/k:v")
	f.Add("arn::::::")
	f.Fuzz(func(t *testing.T, text string) {
		arn, err := cloister.ParseARN(text)
		if err == nil && arn.String() != text {
			t.Errorf("ParseARN(%q) prints %q", text, arn)
		}
	})
}

func TestValid(t *testing.T) {
	t.Parallel()
	for id, want := range map[cloister.AccountID]bool{"123456789012": true, "12345678901": false, "12345678901a": false, "": false} {
		if got := id.Valid(); got != want {
			t.Errorf("AccountID(%q).Valid() = %v, want %v", id, got, want)
		}
	}
	for region, want := range map[cloister.Region]bool{"us-east-1": true, "us-gov-west-1": true, "eu-central-2": true, "useast1": false, "US-EAST-1": false, "us-east-1\n": false, "": false} {
		if got := region.Valid(); got != want {
			t.Errorf("Region(%q).Valid() = %v, want %v", region, got, want)
		}
	}
}

func TestSecretNeverShows(t *testing.T) {
	t.Parallel()
	secret := cloister.Secret("hunter2")
	text, err := json.Marshal(map[string]any{"secret": secret, "pointer": &secret})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).InfoContext(t.Context(), "x", slog.Any("secret", secret))
	for what, shown := range map[string]string{
		"JSON": string(text), "log": log.String(), "verbs": fmt.Sprintf("%s %v %+v %#v %q %x %d", secret, secret, secret, secret, secret, secret, secret),
		"struct": fmt.Sprintf("%+v", struct{ S cloister.Secret }{secret}), "String": secret.String(),
	} {
		if strings.Contains(shown, "hunter2") || strings.Contains(shown, "68756e74657232") {
			t.Errorf("%s shows the secret: %s", what, shown)
		}
	}
	if secret.Reveal() != "hunter2" {
		t.Error("Reveal does not")
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("wrapped: %w", cloister.Errorf("ConflictException", "name %s is taken", "x").WithCause(io.EOF))
	if cloister.Code(err) != "ConflictException" || cloister.Message(err) != "name x is taken" || !errors.Is(err, io.EOF) {
		t.Errorf("Code %q, Message %q, cause %v", cloister.Code(err), cloister.Message(err), err)
	}
	if cloister.Code(io.EOF) != "" || cloister.Message(nil) != "" {
		t.Error("an error without a code has one")
	}
	for status, want := range map[int]smithy.ErrorFault{0: smithy.FaultClient, 404: smithy.FaultClient, 500: smithy.FaultServer, 503: smithy.FaultServer} {
		if got := cloister.Errorf("X", "").WithStatus(status).ErrorFault(); got != want {
			t.Errorf("fault of status %d = %v, want %v", status, got, want)
		}
	}
}

func TestCallInContext(t *testing.T) {
	t.Parallel()
	if call := cloister.CallFrom(t.Context()); call.Principal.Kind != "" {
		t.Errorf("a context without a call has %+v", call)
	}
	root := cloister.RootPrincipal(cloister.DefaultAccount)
	ctx := cloister.WithCall(t.Context(), cloister.Call{Principal: root, Region: "us-east-1"})
	via := cloister.Via(ctx, "bedrock.us-east-1.amazonaws.com")
	if got := cloister.CallFrom(via); got.Principal != root || got.ViaService != "bedrock.us-east-1.amazonaws.com" {
		t.Errorf("Via = %+v", got)
	}
	if cloister.CallFrom(ctx).ViaService != "" {
		t.Error("Via changed the call it was made from")
	}
	if root.ARN != "arn:aws:iam::123456789012:root" {
		t.Errorf("root is %s", root.ARN)
	}
}
