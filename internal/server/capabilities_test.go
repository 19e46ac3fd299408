package server_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/api"
	"example.com/cloister/internal/cloistertest"
)

func TestCapabilities(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{})
	if _, err := s.KMS.CreateKey(t.Context(), &kms.CreateKeyInput{}, func(o *kms.Options) { o.Region = "eu-west-1" }); err != nil {
		t.Fatal(err)
	}
	ask := func() (got struct {
		Version    string
		Regions    []string
		Operations map[string][]string
	},
	) {
		t.Helper()
		text, ok := strings.CutPrefix(s.Answer(t, http.MethodGet, "/_cloister/capabilities", "cloister", nil), "200 ")
		if err := json.Unmarshal([]byte(text), &got); err != nil || !ok {
			t.Fatalf("%s: %v", text, err)
		}
		return got
	}
	got := ask()
	if got.Version != "devel" {
		t.Errorf("version %q, want devel", got.Version)
	}
	if diff := cmp.Diff([]string{"eu-west-1", "us-east-1"}, got.Regions); diff != "" {
		t.Errorf("regions (-want +got):\n%s", diff)
	}
	want := api.Catalogue()
	for _, names := range want {
		slices.Sort(names)
	}
	if diff := cmp.Diff(want, got.Operations); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	if answer := s.Answer(t, http.MethodPost, "/_cloister/capabilities", "cloister", nil); !strings.HasPrefix(answer, "404 ") {
		t.Errorf("POST: %s, want 404", answer)
	}
	if answer := s.Answer(t, http.MethodGet, "/_cloister/capabilities", "bedrock", nil); !strings.HasPrefix(answer, "400 ") {
		t.Errorf("signed for bedrock: %s, want 400", answer)
	}
	forged := *s
	forged.Credential.Secret = "not-the-secret"
	if answer := forged.Answer(t, http.MethodGet, "/_cloister/capabilities", "cloister", nil); !strings.HasPrefix(answer, "403 ") {
		t.Errorf("wrong secret: %s, want 403", answer)
	}
}
