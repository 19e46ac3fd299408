package store_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister"
	"example.com/cloister/internal/store"
	"example.com/cloister/internal/vpc"
)

func TestVPC(t *testing.T) {
	t.Parallel()
	everyDriver(t, func(t *testing.T, db *store.DB) {
		t.Helper()
		s := db.VPC()
		here, there := vpc.Place{Account: cloister.DefaultAccount, Region: "us-east-1"}, vpc.Place{Account: cloister.DefaultAccount, Region: "eu-west-1"}
		a, b := vpc.Row{ID: "vpc-a", Kind: "vpc", Doc: []byte(`{"A":1}`)}, vpc.Row{ID: "eni-b", Kind: "network-interface", Doc: []byte(`{"B":1}`)}
		want := func(p vpc.Place, wantVersion int64, want ...vpc.Row) {
			t.Helper()
			rows, version, err := s.Load(t.Context(), p)
			if err != nil || version != wantVersion {
				t.Errorf("Load(%v): version %d, %v, want version %d", p, version, err, wantVersion)
			}
			if diff := cmp.Diff(want, rows); diff != "" {
				t.Errorf("Load(%v) (-want +got):\n%s", p, diff)
			}
		}
		save := func(p vpc.Place, version int64, put []vpc.Row, remove ...string) {
			t.Helper()
			if err := s.Save(t.Context(), p, version, put, remove); err != nil {
				t.Fatal(err)
			}
		}
		want(here, 0)
		save(here, 0, []vpc.Row{a, b})
		save(there, 0, []vpc.Row{b})
		want(here, 1, b, a)
		for _, stale := range []int64{0, 2} {
			if err := s.Save(t.Context(), here, stale, nil, []string{a.ID}); !errors.Is(err, vpc.ErrStale) {
				t.Errorf("Save of version %d = %v, want ErrStale", stale, err)
			}
		}
		want(here, 1, b, a)
		a.Doc = []byte(`{"A":2}`)
		save(here, 1, []vpc.Row{a}, b.ID, "none")
		want(here, 2, a)
		want(there, 1, b)
		interfaces, err := s.Kind(t.Context(), cloister.DefaultAccount, "network-interface")
		if diff := cmp.Diff([]vpc.PlacedRow{{Place: there, Row: b}}, interfaces); err != nil || diff != "" {
			t.Errorf("Kind: %v (-want +got):\n%s", err, diff)
		}
		save(here, 2, nil, a.ID)
		want(here, 3)
		regions, err := s.Regions(t.Context(), cloister.DefaultAccount)
		if diff := cmp.Diff([]cloister.Region{"eu-west-1", "us-east-1"}, regions); err != nil || diff != "" {
			t.Errorf("Regions: %v (-want +got):\n%s", err, diff)
		}
		if regions, err := s.Regions(t.Context(), "210987654321"); err != nil || len(regions) != 0 {
			t.Errorf("Regions of another account: %v, %v", regions, err)
		}
	})
}
