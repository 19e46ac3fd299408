package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister"
	"example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/kms"
	"example.com/cloister/internal/s3"
	"example.com/cloister/internal/store"
	"example.com/cloister/internal/vpc"
)

func TestRegions(t *testing.T) {
	t.Parallel()
	everyDriver(t, func(t *testing.T, db *store.DB) {
		t.Helper()
		const other = cloister.AccountID("210987654321")
		want := func(account cloister.AccountID, want ...cloister.Region) {
			t.Helper()
			got, err := db.Regions(t.Context(), account)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Regions(%s) (-want +got):\n%s", account, diff)
			}
		}
		want(cloister.DefaultAccount)
		create(t, db.Bedrock(epoch), 2)
		elsewhere := job(2)
		elsewhere.Region = "eu-west-1"
		if err := db.Bedrock(epoch).CreateJob(t.Context(), elsewhere, nil, nil, 9); err != nil {
			t.Fatal(err)
		}
		if _, err := db.S3().CreateBucket(t.Context(), s3.Bucket{Name: "b", Account: cloister.DefaultAccount, Region: "ap-south-1", Created: epoch()}); err != nil {
			t.Fatal(err)
		}
		for id, account := range map[string]cloister.AccountID{"one": cloister.DefaultAccount, "two": other} {
			region := map[string]cloister.Region{"one": "sa-east-1", "two": "us-west-2"}[id]
			if err := db.KMS().CreateKey(t.Context(), kms.Key{Account: account, Region: region, ID: id, State: kms.Enabled, Material: []byte("m"), Created: epoch()}); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.VPC().Save(t.Context(), vpc.Place{Account: cloister.DefaultAccount, Region: "ca-central-1"}, 0, nil, nil); err != nil {
			t.Fatal(err)
		}
		model := bedrock.Model{ARN: "arn:model", Account: cloister.DefaultAccount, Region: "eu-north-1", Name: "m", JobID: elsewhere.ID, Created: epoch()}
		if err := db.Bedrock(epoch).RegisterModel(t.Context(), model, func(*bedrock.Job) error { return nil }); err != nil {
			t.Fatal(err)
		}
		want(cloister.DefaultAccount, "ap-south-1", "ca-central-1", "eu-north-1", "eu-west-1", "sa-east-1", cloister.DefaultRegion)
		want(other, "us-west-2")
	})
}
