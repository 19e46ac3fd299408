package awsfake

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	bedrocktypes "github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (l *loader) region(a *account, n node) *region {
	r := newRegion(n.name)
	top := l.fields(n, "jobs", "models", "deployments", "throughputs", "importJobs", "importedModels", "copyJobs",
		"foundationModels", "logging", "subnets", "securityGroups", "routeTables", "vpcEndpoints", "flowLogs", "vpcs",
		"networkInterfaces", "prefixLists", "keys", "trails", "logGroups", "customizationJobQuota")
	if quota := top["customizationJobQuota"]; quota.v != nil {
		r.jobQuota = l.count(quota)
	}
	l.bedrock(r, top)
	l.ec2(r, top)
	for _, n := range l.list(top["keys"]) {
		l.key(a, r, n)
	}
	for _, n := range l.list(top["trails"]) {
		r.trails = append(r.trails, l.trail(n))
	}
	r.logGroups = records[logstypes.LogGroup](l, top["logGroups"], "logs", "LogGroup")
	slices.SortFunc(r.logGroups, func(a, b logstypes.LogGroup) int {
		return strings.Compare(aws.ToString(a.LogGroupName), aws.ToString(b.LogGroupName))
	})
	return r
}

// add indexes a record by its names, of which the first must be there and none may be taken.
func add[T any](l *loader, x *index[T], n node, what string, v T, names ...*string) {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = aws.ToString(name)
	}
	if texts[0] == "" {
		l.fail(n.path, "it has no %s", what)
	}
	if taken := x.add(v, texts...); taken != "" {
		l.fail(n.path, "%q is there twice", taken)
	}
}

// tag keeps the tags, a map, of a resource.
func (l *loader) tag(r *region, arn *string, n node) {
	if _, ok := r.tags[aws.ToString(arn)]; ok {
		l.fail(n.path, "%q is there twice", aws.ToString(arn))
	}
	list := []bedrocktypes.Tag{}
	for _, t := range l.entries(n) {
		list = append(list, bedrocktypes.Tag{Key: aws.String(t.name), Value: aws.String(l.text(t))})
	}
	r.tags[aws.ToString(arn)] = list
}

func (l *loader) bedrock(r *region, top map[string]node) {
	for _, n := range l.list(top["jobs"]) {
		job, rest := record[bedrock.GetModelCustomizationJobOutput](l, n, "bedrock", "GetModelCustomizationJobResponse", "tags")
		add(l, &r.jobs, n, "jobArn", job, job.JobArn, job.JobName)
		l.tag(r, job.JobArn, rest["tags"])
		r.jobSummaries = append(r.jobSummaries, jobSummary(job))
	}
	for _, n := range l.list(top["models"]) {
		model, rest := record[bedrock.GetCustomModelOutput](l, n, "bedrock", "GetCustomModelResponse", "tags")
		add(l, &r.models, n, "modelArn", model, model.ModelArn, model.ModelName)
		l.tag(r, model.ModelArn, rest["tags"])
		r.modelSummaries = append(r.modelSummaries, modelSummary(model))
	}
	for _, n := range l.list(top["deployments"]) {
		d, rest := record[bedrocktypes.CustomModelDeploymentSummary](l, n, "bedrock", "CustomModelDeploymentSummary", "tags")
		r.deployments = append(r.deployments, *d)
		l.tag(r, d.CustomModelDeploymentArn, rest["tags"])
	}
	for _, n := range l.list(top["throughputs"]) {
		t, rest := record[bedrocktypes.ProvisionedModelSummary](l, n, "bedrock", "ProvisionedModelSummary", "tags")
		r.throughputs = append(r.throughputs, *t)
		l.tag(r, t.ProvisionedModelArn, rest["tags"])
	}
	for _, n := range l.list(top["importJobs"]) {
		job, rest := record[bedrock.GetModelImportJobOutput](l, n, "bedrock", "GetModelImportJobResponse", "tags")
		add(l, &r.imports, n, "jobArn", job, job.JobArn, job.JobName)
		l.tag(r, job.JobArn, rest["tags"])
		r.importSummaries = append(r.importSummaries, importSummary(job))
	}
	for _, n := range l.list(top["importedModels"]) {
		model, rest := record[bedrock.GetImportedModelOutput](l, n, "bedrock", "GetImportedModelResponse", "tags")
		add(l, &r.imported, n, "modelArn", model, model.ModelArn, model.ModelName)
		l.tag(r, model.ModelArn, rest["tags"])
		r.importedModels = append(r.importedModels, importedSummary(model))
	}
	r.copies = records[bedrocktypes.ModelCopyJobSummary](l, top["copyJobs"], "bedrock", "ModelCopyJobSummary")
	for _, n := range l.list(top["foundationModels"]) {
		model, _ := record[bedrocktypes.FoundationModelDetails](l, n, "bedrock", "FoundationModelDetails")
		add(l, &r.foundations, n, "modelArn", model, model.ModelArn, model.ModelId)
	}
	r.logging = optional[bedrocktypes.LoggingConfig](l, top["logging"], "bedrock", "LoggingConfig")
}

func (l *loader) ec2(r *region, top map[string]node) {
	load(l, &r.subnets, top["subnets"], "Subnet", "SubnetId", func(s *ec2types.Subnet) *string { return s.SubnetId })
	load(l, &r.securityGroups, top["securityGroups"], "SecurityGroup", "GroupId", func(g *ec2types.SecurityGroup) *string { return g.GroupId })
	load(l, &r.routeTables, top["routeTables"], "RouteTable", "RouteTableId", func(t *ec2types.RouteTable) *string { return t.RouteTableId })
	load(l, &r.vpcEndpoints, top["vpcEndpoints"], "VpcEndpoint", "VpcEndpointId", func(e *ec2types.VpcEndpoint) *string { return e.VpcEndpointId })
	load(l, &r.flowLogs, top["flowLogs"], "FlowLog", "FlowLogId", func(f *ec2types.FlowLog) *string { return f.FlowLogId })
	load(l, &r.networkInterfaces, top["networkInterfaces"], "NetworkInterface", "NetworkInterfaceId",
		func(i *ec2types.NetworkInterface) *string { return i.NetworkInterfaceId })
	for _, n := range l.list(top["prefixLists"]) {
		p, rest := record[ec2types.ManagedPrefixList](l, n, "ec2", "ManagedPrefixList", "Entries")
		add(l, &r.prefixLists, n, "PrefixListId", p, p.PrefixListId)
		r.entries[aws.ToString(p.PrefixListId)] = records[ec2types.PrefixListEntry](l, rest["Entries"], "ec2", "PrefixListEntry")
	}
	for _, n := range l.list(top["vpcs"]) {
		m := l.fields(n, "VpcId", "EnableDnsSupport", "EnableDnsHostnames")
		v := vpc{l.text(m["VpcId"]), l.flag(m["EnableDnsSupport"]), l.flag(m["EnableDnsHostnames"])}
		add(l, &r.vpcs, n, "VpcId", v, &v.id)
	}
}

// load reads one kind of EC2's resources.
func load[T any](l *loader, x *index[*T], n node, shape, member string, id func(*T) *string) {
	for _, element := range l.list(n) {
		v, _ := record[T](l, element, "ec2", shape)
		add(l, x, element, member, v, id(v))
	}
}

// name is the last part of an ARN.
func lastPart(arn *string) *string {
	text := aws.ToString(arn)
	return aws.String(text[strings.LastIndexByte(text, '/')+1:])
}

// owner is the account in an ARN.
func owner(arn *string) *string {
	parts := strings.SplitN(aws.ToString(arn), ":", 6)
	if len(parts) < 6 {
		return nil
	}
	return aws.String(parts[4])
}

func jobSummary(job *bedrock.GetModelCustomizationJobOutput) bedrocktypes.ModelCustomizationJobSummary {
	s := bedrocktypes.ModelCustomizationJobSummary{
		BaseModelArn: job.BaseModelArn, CreationTime: job.CreationTime, JobArn: job.JobArn, JobName: job.JobName,
		Status: job.Status, CustomizationType: job.CustomizationType, EndTime: job.EndTime,
		LastModifiedTime: job.LastModifiedTime, StatusDetails: job.StatusDetails, CustomModelArn: job.OutputModelArn,
	}
	if job.OutputModelArn != nil {
		s.CustomModelName = job.OutputModelName
	}
	return s
}

func modelSummary(model *bedrock.GetCustomModelOutput) bedrocktypes.CustomModelSummary {
	return bedrocktypes.CustomModelSummary{
		BaseModelArn: model.BaseModelArn, BaseModelName: lastPart(model.BaseModelArn), CreationTime: model.CreationTime,
		ModelArn: model.ModelArn, ModelName: model.ModelName, CustomizationType: model.CustomizationType,
		ModelStatus: model.ModelStatus, OwnerAccountId: owner(model.ModelArn),
	}
}

func importSummary(job *bedrock.GetModelImportJobOutput) bedrocktypes.ModelImportJobSummary {
	return bedrocktypes.ModelImportJobSummary{
		CreationTime: job.CreationTime, JobArn: job.JobArn, JobName: job.JobName, Status: job.Status, EndTime: job.EndTime,
		ImportedModelArn: job.ImportedModelArn, ImportedModelName: job.ImportedModelName, LastModifiedTime: job.LastModifiedTime,
	}
}

func importedSummary(model *bedrock.GetImportedModelOutput) bedrocktypes.ImportedModelSummary {
	return bedrocktypes.ImportedModelSummary{
		CreationTime: model.CreationTime, ModelArn: model.ModelArn, ModelName: model.ModelName,
		InstructSupported: model.InstructSupported, ModelArchitecture: model.ModelArchitecture,
	}
}

// sortedNames are the names of a map in alphabetical order.
func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
