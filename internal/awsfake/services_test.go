package awsfake

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	bedrocktypes "github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// TestModelsMeetSDK walks every member of every operation that is served.
func TestModelsMeetSDK(t *testing.T) {
	t.Parallel()
	_, s := goodClients(t, Options{})
	for _, name := range serviceNames() {
		for _, gap := range s.services[name].Audit() {
			t.Errorf("%s: %s", name, gap)
		}
	}
}

func TestBedrock(t *testing.T) {
	t.Parallel()
	c, s := goodClients(t, Options{})
	ctx, r := t.Context(), home(s)
	jobs, err := c.bedrock.ListModelCustomizationJobs(ctx, &bedrock.ListModelCustomizationJobsInput{})
	wantSame(t, "jobs", &bedrock.ListModelCustomizationJobsOutput{ModelCustomizationJobSummaries: r.jobSummaries}, jobs, err)
	job, err := c.bedrock.GetModelCustomizationJob(ctx, &bedrock.GetModelCustomizationJobInput{JobIdentifier: r.jobs.items[0].JobArn})
	wantSame(t, "job", r.jobs.items[0], job, err)
	job, err = c.bedrock.GetModelCustomizationJob(ctx, &bedrock.GetModelCustomizationJobInput{JobIdentifier: r.jobs.items[0].JobName})
	wantSame(t, "job by name", r.jobs.items[0], job, err)
	models, err := c.bedrock.ListCustomModels(ctx, &bedrock.ListCustomModelsInput{})
	wantSame(t, "models", &bedrock.ListCustomModelsOutput{ModelSummaries: r.modelSummaries}, models, err)
	model, err := c.bedrock.GetCustomModel(ctx, &bedrock.GetCustomModelInput{ModelIdentifier: r.models.items[0].ModelArn})
	wantSame(t, "model", r.models.items[0], model, err)
	deployments, err := c.bedrock.ListCustomModelDeployments(ctx, &bedrock.ListCustomModelDeploymentsInput{StatusEquals: bedrocktypes.CustomModelDeploymentStatusActive})
	wantSame(t, "deployments", &bedrock.ListCustomModelDeploymentsOutput{ModelDeploymentSummaries: r.deployments}, deployments, err)
	throughputs, err := c.bedrock.ListProvisionedModelThroughputs(ctx, &bedrock.ListProvisionedModelThroughputsInput{})
	wantSame(t, "throughputs", &bedrock.ListProvisionedModelThroughputsOutput{}, throughputs, err)
	imports, err := c.bedrock.ListModelImportJobs(ctx, &bedrock.ListModelImportJobsInput{})
	wantSame(t, "import jobs", &bedrock.ListModelImportJobsOutput{ModelImportJobSummaries: r.importSummaries}, imports, err)
	imp, err := c.bedrock.GetModelImportJob(ctx, &bedrock.GetModelImportJobInput{JobIdentifier: r.imports.items[0].JobArn})
	wantSame(t, "import job", r.imports.items[0], imp, err)
	imported, err := c.bedrock.ListImportedModels(ctx, &bedrock.ListImportedModelsInput{})
	wantSame(t, "imported models", &bedrock.ListImportedModelsOutput{ModelSummaries: r.importedModels}, imported, err)
	im, err := c.bedrock.GetImportedModel(ctx, &bedrock.GetImportedModelInput{ModelIdentifier: r.imported.items[0].ModelArn})
	wantSame(t, "imported model", r.imported.items[0], im, err)
	copies, err := c.bedrock.ListModelCopyJobs(ctx, &bedrock.ListModelCopyJobsInput{})
	wantSame(t, "copy jobs", &bedrock.ListModelCopyJobsOutput{ModelCopyJobSummaries: r.copies}, copies, err)
	for _, id := range []*string{r.foundations.items[0].ModelArn, r.foundations.items[0].ModelId} {
		base, err := c.bedrock.GetFoundationModel(ctx, &bedrock.GetFoundationModelInput{ModelIdentifier: id})
		wantSame(t, "foundation model", &bedrock.GetFoundationModelOutput{ModelDetails: r.foundations.items[0]}, base, err)
	}
	logging, err := c.bedrock.GetModelInvocationLoggingConfiguration(ctx, &bedrock.GetModelInvocationLoggingConfigurationInput{})
	wantSame(t, "logging", &bedrock.GetModelInvocationLoggingConfigurationOutput{LoggingConfig: r.logging}, logging, err)
	for _, arn := range sortedNames(r.tags) {
		tags, err := c.bedrock.ListTagsForResource(ctx, &bedrock.ListTagsForResourceInput{ResourceARN: aws.String(arn)})
		wantSame(t, "tags", &bedrock.ListTagsForResourceOutput{Tags: r.tags[arn]}, tags, err)
	}
}

func TestBedrockRefuses(t *testing.T) {
	t.Parallel()
	c, _ := goodClients(t, Options{})
	ctx := t.Context()
	_, err := c.bedrock.GetModelCustomizationJob(ctx, &bedrock.GetModelCustomizationJobInput{JobIdentifier: aws.String("other")})
	wantCode(t, "job", err, "ResourceNotFoundException", 404)
	_, err = c.bedrock.GetCustomModel(ctx, &bedrock.GetCustomModelInput{ModelIdentifier: aws.String("other")})
	wantCode(t, "model", err, "ResourceNotFoundException", 404)
	_, err = c.bedrock.GetFoundationModel(ctx, &bedrock.GetFoundationModelInput{ModelIdentifier: aws.String("a.b-v1:0")})
	wantCode(t, "foundation model", err, "ValidationException", 400)
	_, err = c.bedrock.ListTagsForResource(ctx, &bedrock.ListTagsForResourceInput{ResourceARN: aws.String("arn:aws:bedrock:us-east-1:111122223333:model-import-job/aaaaaaaaaaaa")})
	wantCode(t, "tags", err, "ResourceNotFoundException", 404)
	_, err = c.bedrock.ListCustomModels(ctx, &bedrock.ListCustomModelsInput{NextToken: aws.String("abc")})
	wantCode(t, "token", err, "ValidationException", 400)
	_, err = c.bedrock.ListModelCustomizationJobs(ctx, &bedrock.ListModelCustomizationJobsInput{MaxResults: aws.Int32(0)})
	wantCode(t, "page size", err, "ValidationException", 400)
}

func TestBedrockFilters(t *testing.T) {
	t.Parallel()
	c, _ := goodClients(t, Options{}, Patch{Path: here + "/models/-", Set: map[string]any{
		"modelArn":  "arn:aws:bedrock:us-east-1:444455556666:custom-model/amazon.nova-micro-v1:0:128k/aaaaaaaaaaaa",
		"modelName": "shared", "creationTime": "2026-01-01T00:00:00Z", "baseModelArn": "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k",
	}})
	for name, tt := range map[string]struct {
		in   bedrock.ListCustomModelsInput
		want int
	}{
		"all":    {bedrock.ListCustomModelsInput{}, 3},
		"owned":  {bedrock.ListCustomModelsInput{IsOwned: aws.Bool(true)}, 2},
		"shared": {bedrock.ListCustomModelsInput{IsOwned: aws.Bool(false)}, 1},
		"name":   {bedrock.ListCustomModelsInput{NameContains: aws.String("triage")}, 1},
		"since":  {bedrock.ListCustomModelsInput{CreationTimeAfter: aws.Time(time.Date(2026, 11, 10, 0, 0, 0, 0, time.UTC))}, 1},
		"status": {bedrock.ListCustomModelsInput{ModelStatus: bedrocktypes.ModelStatusActive}, 2},
	} {
		out, err := c.bedrock.ListCustomModels(t.Context(), &tt.in)
		if err != nil || len(out.ModelSummaries) != tt.want {
			t.Errorf("%s: %d models, %v, want %d", name, len(out.ModelSummaries), err, tt.want)
		}
	}
}

func TestKMS(t *testing.T) {
	t.Parallel()
	c, s := goodClients(t, Options{})
	ctx, k := t.Context(), home(s).keys.items[0]
	for _, id := range []string{*k.metadata.KeyId, *k.metadata.Arn, "alias/bedrock-models", "arn:aws:kms:us-east-1:111122223333:alias/bedrock-models"} {
		out, err := c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String(id)})
		wantSame(t, id, &kms.DescribeKeyOutput{KeyMetadata: &k.metadata}, out, err)
	}
	rotation, err := c.kms.GetKeyRotationStatus(ctx, &kms.GetKeyRotationStatusInput{KeyId: k.metadata.Arn})
	wantSame(t, "rotation", &k.rotation, rotation, err)
	grants, err := c.kms.ListGrants(ctx, &kms.ListGrantsInput{KeyId: k.metadata.Arn})
	wantSame(t, "grants", &kms.ListGrantsOutput{Grants: k.grants}, grants, err)
	for _, id := range []string{"alias/other", "1a2b3c4d-0000-0000-0000-000000000000", "arn:aws:kms:eu-west-1:111122223333:key/x", "arn:aws:kms:us-east-1:111122223333:key/x"} {
		_, err = c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String(id)})
		wantCode(t, id, err, "NotFoundException", 400)
	}
}

func TestKeysOfOtherAccounts(t *testing.T) {
	t.Parallel()
	key := func(id string, shared bool) map[string]any {
		arn := "arn:aws:kms:us-east-1:444455556666:key/" + id
		return map[string]any{"shared": shared, "metadata": map[string]any{"KeyId": id, "Arn": arn}}
	}
	c, _ := goodClients(t, Options{},
		Patch{Path: "/accounts/444455556666/regions/us-east-1/keys/-", Set: key("a", false)},
		Patch{Path: "/accounts/444455556666/regions/us-east-1/keys/-", Set: key("b", true)})
	_, err := c.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("arn:aws:kms:us-east-1:444455556666:key/a")})
	wantCode(t, "key of another", err, "AccessDeniedException", 400)
	if _, err = c.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("arn:aws:kms:us-east-1:444455556666:key/b")}); err != nil {
		t.Errorf("shared key: %v", err)
	}
}

func TestTrailsAndLogs(t *testing.T) {
	t.Parallel()
	c, s := goodClients(t, Options{})
	ctx, tr := t.Context(), home(s).trails[0]
	trails, err := c.cloudtrail.DescribeTrails(ctx, &cloudtrail.DescribeTrailsInput{})
	if err != nil || len(trails.TrailList) != 1 {
		t.Fatalf("trails = %v, %v", trails, err)
	}
	wantSame(t, "trail", tr.trail, trails.TrailList[0], nil)
	status, err := c.cloudtrail.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: tr.trail.Name})
	wantSame(t, "status", &tr.status, status, err)
	selectors, err := c.cloudtrail.GetEventSelectors(ctx, &cloudtrail.GetEventSelectorsInput{TrailName: tr.trail.TrailARN})
	wantSame(t, "selectors", &tr.selectors, selectors, err)
	_, err = c.cloudtrail.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: aws.String("other")})
	wantCode(t, "unknown trail", err, "TrailNotFoundException", 400)

	there := newClients(s, "eu-west-1", Credentials(goodAccount))
	trails, err = there.cloudtrail.DescribeTrails(ctx, &cloudtrail.DescribeTrailsInput{})
	if err != nil || len(trails.TrailList) != 1 {
		t.Errorf("shadows in another region = %v, %v, want one", trails, err)
	}
	trails, err = there.cloudtrail.DescribeTrails(ctx, &cloudtrail.DescribeTrailsInput{IncludeShadowTrails: aws.Bool(false)})
	if err != nil || len(trails.TrailList) != 0 {
		t.Errorf("trails in another region = %v, %v, want none", trails, err)
	}
	_, err = there.cloudtrail.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: tr.trail.Name})
	wantCode(t, "shadow by name", err, "TrailNotFoundException", 400)
	if _, err = there.cloudtrail.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: tr.trail.TrailARN}); err != nil {
		t.Errorf("shadow by ARN: %v", err)
	}

	groups, err := c.logs.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{})
	wantSame(t, "groups", &cloudwatchlogs.DescribeLogGroupsOutput{LogGroups: home(s).logGroups}, groups, err)
	for name, in := range map[string]cloudwatchlogs.DescribeLogGroupsInput{
		"prefix":      {LogGroupNamePrefix: aws.String("/aws/bedrock")},
		"pattern":     {LogGroupNamePattern: aws.String("invocations")},
		"identifiers": {LogGroupIdentifiers: []string{"/aws/bedrock/model-invocations"}},
		"ARN":         {LogGroupIdentifiers: []string{"arn:aws:logs:us-east-1:111122223333:log-group:/aws/bedrock/model-invocations"}},
	} {
		groups, err = c.logs.DescribeLogGroups(ctx, &in)
		if err != nil || len(groups.LogGroups) != 1 {
			t.Errorf("%s: groups = %v, %v, want one", name, groups, err)
		}
	}
}

func TestSTS(t *testing.T) {
	t.Parallel()
	s := New(goodWorld(t,
		Patch{Path: "/accounts/444455556666/roles/open", Set: map[string]any{}},
		Patch{Path: "/accounts/444455556666/regions/us-east-1/subnets/-/SubnetId", Set: "subnet-4"}), Options{})
	c, ctx := newClients(s, goodRegion, Credentials(goodAccount)), t.Context()
	me, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil || *me.Account != goodAccount || *me.Arn != "arn:aws:iam::111122223333:user/auditor" {
		t.Errorf("caller = %+v, %v", me, err)
	}
	in := sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::444455556666:role/open"), RoleSessionName: aws.String("audit")}
	out, err := c.sts.AssumeRole(ctx, &in)
	if err != nil {
		t.Fatal(err)
	}
	session := newClients(s, goodRegion, aws.CredentialsProviderFunc(sessionCredentials(out.Credentials)))
	if me, err = session.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err != nil || *me.Arn != "arn:aws:sts::444455556666:assumed-role/open/audit" {
		t.Errorf("caller of the session = %+v, %v", me, err)
	}
	if subnets, err := session.ec2.DescribeSubnets(ctx, nil); err != nil || len(subnets.Subnets) != 1 || *subnets.Subnets[0].SubnetId != "subnet-4" {
		t.Errorf("the session's subnets = %v, %v", subnets, err)
	}
	for name, in := range map[string]sts.AssumeRoleInput{
		"no external id":    {RoleArn: aws.String("arn:aws:iam::111122223333:role/cloister-audit")},
		"wrong external id": {RoleArn: aws.String("arn:aws:iam::111122223333:role/cloister-audit"), ExternalId: aws.String("other")},
		"no role":           {RoleArn: aws.String("arn:aws:iam::111122223333:role/other")},
		"no account":        {RoleArn: aws.String("arn:aws:iam::777788889999:role/open")},
	} {
		in.RoleSessionName = aws.String("audit")
		_, err := c.sts.AssumeRole(ctx, &in)
		wantCode(t, name, err, "AccessDenied", 403)
	}
	in = sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::111122223333:role/cloister-audit"), RoleSessionName: aws.String("audit"), ExternalId: aws.String("acme")}
	if _, err := c.sts.AssumeRole(ctx, &in); err != nil {
		t.Errorf("with the external id: %v", err)
	}
}

func TestOrganizations(t *testing.T) {
	t.Parallel()
	second := map[string]any{"Id": "444455556666", "Name": "acme-data", "Status": "ACTIVE", "parent": "r-ab12"}
	s := New(goodWorld(t, Patch{Path: "/organization/accounts/-", Set: second}, Patch{Path: "/accounts/444455556666", Set: map[string]any{}}), Options{PageSize: 1})
	c, ctx := newClients(s, goodRegion, Credentials(goodAccount)), t.Context()
	var names []string
	pages := organizations.NewListAccountsPaginator(c.organizations, nil)
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range out.Accounts {
			names = append(names, *a.Name)
		}
	}
	wantSame(t, "accounts", []string{"acme-ml", "acme-data"}, names, nil)
	roots, err := c.organizations.ListRoots(ctx, &organizations.ListRootsInput{})
	wantSame(t, "roots", &organizations.ListRootsOutput{Roots: s.world.org.roots}, roots, err)
	units, err := c.organizations.ListOrganizationalUnitsForParent(ctx, &organizations.ListOrganizationalUnitsForParentInput{ParentId: roots.Roots[0].Id})
	wantSame(t, "units", &organizations.ListOrganizationalUnitsForParentOutput{OrganizationalUnits: s.world.org.units}, units, err)
	accounts, err := c.organizations.ListAccountsForParent(ctx, &organizations.ListAccountsForParentInput{ParentId: units.OrganizationalUnits[0].Id})
	wantSame(t, "accounts of the unit", &organizations.ListAccountsForParentOutput{Accounts: s.world.org.accounts[:1]}, accounts, err)
	_, err = c.organizations.ListAccountsForParent(ctx, &organizations.ListAccountsForParentInput{ParentId: aws.String("r-zzzz")})
	wantCode(t, "unknown parent", err, "ParentNotFoundException", 400)
	member := newClients(s, goodRegion, Credentials("444455556666"))
	_, err = member.organizations.ListAccounts(ctx, nil)
	wantCode(t, "a member", err, "AccessDeniedException", 400)
	alone, _ := goodClients(t, Options{}, Patch{Path: "/organization", Delete: true})
	_, err = alone.organizations.ListAccounts(ctx, nil)
	wantCode(t, "no organization", err, "AWSOrganizationsNotInUseException", 400)
}
