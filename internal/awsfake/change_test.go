package awsfake

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/google/go-cmp/cmp"
)

func TestKeyStates(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	c, _ := goodClients(t, Options{Writable: true, Now: func() time.Time { return now }})
	ctx, id := t.Context(), aws.String("1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d")
	enable := func() error { _, err := c.kms.EnableKey(ctx, &kms.EnableKeyInput{KeyId: id}); return err }
	disable := func() error { _, err := c.kms.DisableKey(ctx, &kms.DisableKeyInput{KeyId: id}); return err }
	cancel := func() error {
		_, err := c.kms.CancelKeyDeletion(ctx, &kms.CancelKeyDeletionInput{KeyId: id})
		return err
	}
	rotate := func() error {
		_, err := c.kms.EnableKeyRotation(ctx, &kms.EnableKeyRotationInput{KeyId: id})
		return err
	}
	remove := func() error {
		out, err := c.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: id, PendingWindowInDays: aws.Int32(7)})
		if err == nil && (!out.DeletionDate.Equal(now.AddDate(0, 0, 7)) || *out.KeyId != goodKey || out.KeyState != kmstypes.KeyStatePendingDeletion) {
			t.Errorf("ScheduleKeyDeletion = %+v", out)
		}
		return err
	}
	for i, step := range []struct {
		call  func() error
		code  string // of the error
		state kmstypes.KeyState
	}{
		{disable, "", kmstypes.KeyStateDisabled},
		{disable, "", kmstypes.KeyStateDisabled},
		{rotate, "DisabledException", kmstypes.KeyStateDisabled},
		{cancel, "KMSInvalidStateException", kmstypes.KeyStateDisabled},
		{enable, "", kmstypes.KeyStateEnabled},
		{enable, "", kmstypes.KeyStateEnabled},
		{remove, "", kmstypes.KeyStatePendingDeletion},
		{remove, "KMSInvalidStateException", kmstypes.KeyStatePendingDeletion},
		{enable, "KMSInvalidStateException", kmstypes.KeyStatePendingDeletion},
		{disable, "KMSInvalidStateException", kmstypes.KeyStatePendingDeletion},
		{rotate, "KMSInvalidStateException", kmstypes.KeyStatePendingDeletion},
		{cancel, "", kmstypes.KeyStateDisabled},
		{enable, "", kmstypes.KeyStateEnabled},
		{rotate, "", kmstypes.KeyStateEnabled},
	} {
		err := step.call()
		if step.code != "" {
			wantCode(t, "", err, step.code, 400)
		} else if err != nil {
			t.Errorf("step %d: %v", i, err)
		}
		out, err := c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: id})
		if err != nil {
			t.Fatal(err)
		}
		m := out.KeyMetadata
		if m.KeyState != step.state || m.Enabled != (step.state == kmstypes.KeyStateEnabled) || (m.DeletionDate != nil) != (step.state == kmstypes.KeyStatePendingDeletion) {
			t.Errorf("step %d: the key = %+v", i, m)
		}
	}
}

func TestKeyRotationAndTags(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	foreign := "arn:aws:kms:us-east-1:444455556666:key/f"
	c, _ := goodClients(t, Options{Writable: true, Now: func() time.Time { return now }, PageSize: 1},
		Patch{Path: here + "/keys/0/tags", Set: map[string]any{"b": "2", "a": "1"}},
		Patch{Path: here + "/keys/-", Set: map[string]any{"metadata": map[string]any{"KeyId": "r", "Arn": "arn:aws:kms:us-east-1:111122223333:key/r", "KeySpec": "RSA_2048"}}},
		Patch{Path: "/accounts/444455556666/regions/us-east-1/keys/-", Set: map[string]any{"shared": true, "metadata": map[string]any{"KeyId": "f", "Arn": foreign}}})
	ctx := t.Context()
	status := func() *kms.GetKeyRotationStatusOutput {
		t.Helper()
		out, err := c.kms.GetKeyRotationStatus(ctx, &kms.GetKeyRotationStatusInput{KeyId: aws.String(goodKey)})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if _, err := c.kms.DisableKeyRotation(ctx, &kms.DisableKeyRotationInput{KeyId: aws.String(goodKey)}); err != nil || status().KeyRotationEnabled {
		t.Errorf("disabled: %v, %+v", err, status())
	}
	if _, err := c.kms.EnableKeyRotation(ctx, &kms.EnableKeyRotationInput{KeyId: aws.String(goodKey), RotationPeriodInDays: aws.Int32(90)}); err != nil {
		t.Error(err)
	}
	if s := status(); !s.KeyRotationEnabled || *s.RotationPeriodInDays != 90 || !s.NextRotationDate.Equal(now.AddDate(0, 0, 90)) {
		t.Errorf("enabled: %+v", s)
	}
	var tags []string
	for p := kms.NewListResourceTagsPaginator(c.kms, &kms.ListResourceTagsInput{KeyId: aws.String(goodKey)}); p.HasMorePages(); {
		out, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range out.Tags {
			tags = append(tags, *tag.TagKey+"="+*tag.TagValue)
		}
	}
	if !slices.Equal(tags, []string{"a=1", "b=2"}) {
		t.Errorf("tags = %q", tags)
	}
	for id, code := range map[string]string{
		"alias/bedrock-models": "NotFoundException", "none": "NotFoundException", "r": "UnsupportedOperationException", foreign: "AccessDeniedException",
	} {
		_, err := c.kms.EnableKeyRotation(ctx, &kms.EnableKeyRotationInput{KeyId: aws.String(id)})
		wantCode(t, id, err, code, 400)
	}
	_, err := c.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: aws.String(goodKey), PendingWindowInDays: aws.Int32(6)})
	wantCode(t, "window", err, "ValidationException", 400)
}

func TestBucketChanges(t *testing.T) {
	t.Parallel()
	c, s := goodClients(t, Options{Writable: true},
		Patch{Path: "/accounts/111122223333/buckets/there/region", Set: "eu-west-1"},
		Patch{Path: "/accounts/111122223333/buckets/locked", Set: map[string]any{"region": goodRegion, "versioning": map[string]any{"Status": "Enabled", "MFADelete": "Enabled"}}},
		Patch{Path: "/accounts/444455556666/buckets/open", Set: map[string]any{"region": goodRegion, "shared": true}})
	ctx, name := t.Context(), aws.String("acme-access-logs")
	versioning := func(bucket string, status s3types.BucketVersioningStatus) error {
		_, err := c.s3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: &bucket, VersioningConfiguration: &s3types.VersioningConfiguration{Status: status}})
		return err
	}
	for _, want := range []s3types.BucketVersioningStatus{s3types.BucketVersioningStatusSuspended, s3types.BucketVersioningStatusEnabled} {
		if err := versioning(*name, want); err != nil {
			t.Fatal(err)
		}
		if out, err := c.s3.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: name}); err != nil || out.Status != want {
			t.Errorf("versioning = %+v, %v", out, err)
		}
	}
	wantCode(t, "no status", versioning(*name, ""), "IllegalVersioningConfigurationException", 400)
	wantCode(t, "MFA delete", versioning("locked", s3types.BucketVersioningStatusSuspended), "AccessDenied", 403)
	wantCode(t, "another's", versioning("open", s3types.BucketVersioningStatusSuspended), "AccessDenied", 403)
	logging := func(target string) error {
		status := &s3types.BucketLoggingStatus{}
		if target != "" {
			status.LoggingEnabled = &s3types.LoggingEnabled{TargetBucket: &target, TargetPrefix: aws.String("x/")}
		}
		_, err := c.s3.PutBucketLogging(ctx, &s3.PutBucketLoggingInput{Bucket: name, BucketLoggingStatus: status})
		return err
	}
	for _, target := range []string{"acme-trail", ""} {
		if err := logging(target); err != nil {
			t.Fatal(err)
		}
		out, err := c.s3.GetBucketLogging(ctx, &s3.GetBucketLoggingInput{Bucket: name})
		if err != nil || (out.LoggingEnabled != nil) != (target != "") || (target != "" && *out.LoggingEnabled.TargetBucket != target) {
			t.Errorf("logging to %q = %+v, %v", target, out, err)
		}
	}
	wantCode(t, "no target", logging("nobody-has-this"), "InvalidTargetBucketForLogging", 400)
	wantCode(t, "another's target", logging("open"), "InvalidTargetBucketForLogging", 400)
	wantCode(t, "another region's target", logging("there"), "CrossLocationLoggingProhibitted", 403)
	if out, err := c.s3.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: name}); err != nil || out.LocationConstraint != "" {
		t.Errorf("location = %+v, %v", out, err)
	}
	there := newClients(s, "eu-west-1", Credentials(goodAccount))
	if out, err := there.s3.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: aws.String("there")}); err != nil || out.LocationConstraint != "eu-west-1" {
		t.Errorf("location = %+v, %v", out, err)
	}
}

func TestObjectsHaveTagsAndTimes(t *testing.T) {
	t.Parallel()
	c, _ := goodClients(t, Options{})
	for prefix, want := range map[string]int{"": 2, "support/": 2, "support/model-customization-job-q4ad8z8tioq8/training": 1, "upport": 0, "t": 0} {
		out, err := c.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("acme-output"), Prefix: &prefix})
		if err != nil || len(out.Contents) != want {
			t.Errorf("%q: %d objects, %v, want %d", prefix, len(out.Contents), err, want)
			continue
		}
		for _, o := range out.Contents {
			if len(aws.ToString(o.ETag)) != 34 || o.LastModified == nil || o.Size == nil {
				t.Errorf("%q: %+v", prefix, o)
			}
		}
	}
}

func TestSimulation(t *testing.T) {
	t.Parallel()
	s := New(goodWorld(t, Patch{Path: "/accounts/111122223333/roles/narrow/allowedActions", Set: []string{"s3:Get*", "ec2:DescribeSubnets"}}),
		Options{PageSize: 3, Policies: map[string][]string{goodAccount: {`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:SimulatePrincipalPolicy","Resource":"*"}}`}}})
	c := newClients(s, "eu-west-1", Credentials(goodAccount)) // IAM is everywhere
	decisions := func(arn string, resources ...string) map[string]bool {
		t.Helper()
		out := map[string]bool{}
		in := iam.SimulatePrincipalPolicyInput{PolicySourceArn: &arn, ActionNames: []string{"s3:GetObject", "s3:PutObject", "ec2:DescribeSubnets", "iam:SimulatePrincipalPolicy"}, ResourceArns: resources}
		for p := iam.NewSimulatePrincipalPolicyPaginator(c.iam, &in); p.HasMorePages(); {
			page, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.EvaluationResults {
				out[*r.EvalActionName+" "+*r.EvalResourceName] = r.EvalDecision == "allowed"
				if r.EvalDecision != "allowed" && r.EvalDecision != "implicitDeny" {
					t.Errorf("decision = %s", r.EvalDecision)
				}
			}
		}
		return out
	}
	for arn, want := range map[string][4]bool{
		goodRole: {true, true, true, true},
		"arn:aws:iam::111122223333:role/service-role/narrow": {true, false, true, false},
		"arn:aws:iam::111122223333:user/auditor":             {false, false, false, true},
	} {
		if diff := cmp.Diff(map[string]bool{"s3:GetObject *": want[0], "s3:PutObject *": want[1], "ec2:DescribeSubnets *": want[2], "iam:SimulatePrincipalPolicy *": want[3]}, decisions(arn)); diff != "" {
			t.Errorf("%s: %s", arn, diff)
		}
	}
	if got := decisions(goodRole, "arn:aws:s3:::a", "arn:aws:s3:::b"); len(got) != 8 || !got["s3:PutObject arn:aws:s3:::b"] {
		t.Errorf("two resources: %v", got)
	}
	for _, arn := range []string{"arn:aws:iam::111122223333:role/none", "arn:aws:iam::444455556666:role/narrow", "arn:aws:iam::111122223333:user/other"} {
		_, err := c.iam.SimulatePrincipalPolicy(t.Context(), &iam.SimulatePrincipalPolicyInput{PolicySourceArn: &arn, ActionNames: []string{"s3:GetObject"}})
		wantCode(t, arn, err, "NoSuchEntity", 404)
	}
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	c, s := goodClients(t, Options{}, Patch{Path: here + "/customizationJobQuota", Set: 2})
	for region, want := range map[string]float64{goodRegion: 2, "eu-west-1": 10} {
		out, err := newClients(s, region, Credentials(goodAccount)).quotas.ListServiceQuotas(t.Context(), &servicequotas.ListServiceQuotasInput{ServiceCode: aws.String("bedrock")})
		if err != nil || len(out.Quotas) != 1 || *out.Quotas[0].Value != want || *out.Quotas[0].QuotaName != "(Model customization) Scheduled customization jobs" {
			t.Errorf("%s: quotas = %+v, %v", region, out, err)
		}
	}
	_, err := c.quotas.ListServiceQuotas(t.Context(), &servicequotas.ListServiceQuotasInput{ServiceCode: aws.String("other")})
	wantCode(t, "service", err, "NoSuchResourceException", 400)
}

// TestWorldIsShared changes what two servers of one world have: neither sees the other's changes, and a server that is
// not Writable refuses them.
func TestWorldIsShared(t *testing.T) {
	t.Parallel()
	w := goodWorld(t)
	one, two, reader := New(w, Options{Writable: true}), New(w, Options{Writable: true}), New(w, Options{})
	ctx := t.Context()
	at := func(s *Server) clients { return newClients(s, goodRegion, Credentials(goodAccount)) }
	created(t, at(one), request("one"))
	polled(t, at(one), "one")
	if _, err := at(one).kms.DisableKey(ctx, &kms.DisableKeyInput{KeyId: aws.String(goodKey)}); err != nil {
		t.Error(err)
	}
	if _, err := at(one).bedrock.UntagResource(ctx, &bedrock.UntagResourceInput{ResourceARN: aws.String(goodModel), TagKeys: []string{"owner"}}); err != nil {
		t.Error(err)
	}
	if _, err := at(one).bedrock.UpdateCustomModelDeployment(ctx, &bedrock.UpdateCustomModelDeploymentInput{CustomModelDeploymentIdentifier: aws.String("support"), ModelArn: aws.String(otherModel)}); err != nil {
		t.Error(err)
	}
	fresh := goodWorld(t)
	for name, s := range map[string]*Server{"the other": two, "the reader": reader} {
		_, err := at(s).bedrock.GetModelCustomizationJob(ctx, &bedrock.GetModelCustomizationJobInput{JobIdentifier: aws.String("one")})
		wantCode(t, name, err, "ResourceNotFoundException", 404)
		want, got := fresh.accounts[goodAccount].regions[goodRegion], home(s)
		wantSame(t, name+": key", want.keys.items[0].metadata, got.keys.items[0].metadata, nil)
		wantSame(t, name+": tags", want.tags, got.tags, nil)
		wantSame(t, name+": deployments", want.deployments, got.deployments, nil)
		wantSame(t, name+": models", want.modelSummaries, got.modelSummaries, nil)
	}
	_, err := at(reader).bedrock.CreateModelCustomizationJob(ctx, request("one"))
	wantCode(t, "the reader", err, "AccessDeniedException", 403)
	_, err = at(reader).s3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: aws.String("acme-train"), VersioningConfiguration: &s3types.VersioningConfiguration{Status: "Suspended"}})
	wantCode(t, "the reader", err, "AccessDenied", 403)
	if got := reader.Writes(); len(got) != 2 || got[0].Status != 403 || got[1].Action != "s3:PutBucketVersioning" {
		t.Errorf("the reader's Writes = %+v", got)
	}
}

// TestBadDaysOfWrites: what stops a call changes nothing; what spoils an answer comes after the change.
func TestBadDaysOfWrites(t *testing.T) {
	t.Parallel()
	for kind, changed := range map[Kind]bool{AccessDenied: false, Throttle: false, Timeout: false, HTML500: true, Truncated: true} {
		synctest.Test(t, func(t *testing.T) {
			c, s := goodClients(t, Options{Writable: true, Faults: []Fault{{Operation: "CreateModelCustomizationJob", Resource: "bad", Kind: kind}}})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := c.bedrock.CreateModelCustomizationJob(ctx, request("bad")); err == nil {
				t.Errorf("%s: no error", kind)
			}
			_, err := c.bedrock.GetModelCustomizationJob(t.Context(), &bedrock.GetModelCustomizationJobInput{JobIdentifier: aws.String("bad")})
			if (err == nil) != changed {
				t.Errorf("%s: the job: %v, want it there: %v", kind, err, changed)
			}
			if w := s.Writes(); len(w) != 1 {
				t.Errorf("%s: Writes = %+v", kind, w)
			}
		})
	}
	c, _ := goodClients(t, Options{Writable: true, Rate: 0.001, Burst: 1})
	created(t, c, request("first"))
	_, err := c.bedrock.CreateModelCustomizationJob(t.Context(), request("second"))
	wantCode(t, "too fast", err, "ThrottlingException", 429)
}
