package collect_test

import (
	"net/http/httptest"
	"path/filepath"
	"testing"

	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/tape"
)

// TestOwnClient reads over a socket with the client that the SDK's configuration gives, which without a CA bundle gives
// none.
func TestOwnClient(t *testing.T) { //nolint:paralleltest // it sets the environment
	t.Setenv("AWS_CA_BUNDLE", "")
	fake := awsfake.New(good(t), awsfake.Options{Now: now})
	server := httptest.NewServer(fake)
	defer server.Close()
	recorder, err := tape.Record(filepath.Join(t.TempDir(), "recording"), false)
	if err != nil {
		t.Fatal(err)
	}
	for name, recorder := range map[string]*tape.Recorder{"plain": nil, "recorded": recorder} {
		t.Run(name, func(t *testing.T) {
			o := options(t, nil)
			o.HTTP, o.Recorder, o.Session.Endpoints = nil, recorder, map[string]string{"": server.URL}
			o.Regions = []string{"us-east-1"}
			c := collected(t, o)
			if n := len(c.Inventory.Accounts[0].Regions[0].Jobs.Items); n == 0 {
				t.Error("no job was read")
			}
		})
	}
}
