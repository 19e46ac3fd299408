package awsfake

import (
	"example.com/cloister/internal/wire"
)

// operations are what is served, by service: the catalogue of the package. A listing's IAM action is not
// always its name.
// Source: Service Authorization Reference, "Actions, resources, and condition keys" of each service.
func (s *Server) operations() map[string][]wire.Operation {
	return map[string][]wire.Operation{
		"bedrock": {
			bind("ListModelCustomizationJobs", "bedrock:ListModelCustomizationJobs", nil, listJobs),
			bind("GetModelCustomizationJob", "bedrock:GetModelCustomizationJob", jobARN, getJob),
			bind("ListCustomModels", "bedrock:ListCustomModels", nil, listModels),
			bind("GetCustomModel", "bedrock:GetCustomModel", modelARN, getModel),
			bind("ListCustomModelDeployments", "bedrock:ListCustomModelDeployments", nil, listDeployments),
			bind("ListProvisionedModelThroughputs", "bedrock:ListProvisionedModelThroughputs", nil, listThroughputs),
			bind("ListModelImportJobs", "bedrock:ListModelImportJobs", nil, listImports),
			bind("GetModelImportJob", "bedrock:GetModelImportJob", importARN, getImport),
			bind("ListImportedModels", "bedrock:ListImportedModels", nil, listImported),
			bind("GetImportedModel", "bedrock:GetImportedModel", importedARN, getImported),
			bind("ListModelCopyJobs", "bedrock:ListModelCopyJobs", nil, listCopies),
			bind("GetFoundationModel", "bedrock:GetFoundationModel", foundationARN, getFoundation),
			bind("GetModelInvocationLoggingConfiguration", "bedrock:GetModelInvocationLoggingConfiguration", nil, getLogging),
			bind("ListTagsForResource", "bedrock:ListTagsForResource", taggedARN, listTags),
			bind("GetCustomModelDeployment", "bedrock:GetCustomModelDeployment", deploymentARN, getDeployment),
			bind("GetProvisionedModelThroughput", "bedrock:GetProvisionedModelThroughput", throughputARN, getThroughput),
			bindWriteOf("CreateModelCustomizationJob", "bedrock:CreateModelCustomizationJob", createJobNeeds, createJob),
			bindWrite("StopModelCustomizationJob", "bedrock:StopModelCustomizationJob", stoppedJobARN, stopJob),
			bindWrite("DeleteCustomModel", "bedrock:DeleteCustomModel", deletedModelARN, deleteModel),
			bindWriteOf("UpdateCustomModelDeployment", "bedrock:UpdateCustomModelDeployment", updateDeploymentNeeds, updateDeployment),
			bindWriteOf("UpdateProvisionedModelThroughput", "bedrock:UpdateProvisionedModelThroughput", updateThroughputNeeds, updateThroughput),
			bindWrite("TagResource", "bedrock:TagResource", newlyTaggedARN, tagResource),
			bindWrite("UntagResource", "bedrock:UntagResource", untaggedARN, untagResource),
			bindWriteOf("PutModelInvocationLoggingConfiguration", "bedrock:PutModelInvocationLoggingConfiguration", putLoggingNeeds, putLogging),
			bindWrite("DeleteModelInvocationLoggingConfiguration", "bedrock:DeleteModelInvocationLoggingConfiguration", nil, deleteLogging),
		},
		"ec2": {
			bind("DescribeRegions", "ec2:DescribeRegions", nil, describeRegions),
			bind("DescribeSubnets", "ec2:DescribeSubnets", nil, describeSubnets),
			bind("DescribeSecurityGroups", "ec2:DescribeSecurityGroups", nil, describeSecurityGroups),
			bind("DescribeRouteTables", "ec2:DescribeRouteTables", nil, describeRouteTables),
			bind("DescribeVpcEndpoints", "ec2:DescribeVpcEndpoints", nil, describeVpcEndpoints),
			bind("DescribeFlowLogs", "ec2:DescribeFlowLogs", nil, describeFlowLogs),
			bind("DescribeVpcAttribute", "ec2:DescribeVpcAttribute", vpcARN, describeVpcAttribute),
			bind("DescribeNetworkInterfaces", "ec2:DescribeNetworkInterfaces", nil, describeNetworkInterfaces),
			bind("DescribeManagedPrefixLists", "ec2:DescribeManagedPrefixLists", nil, describeManagedPrefixLists),
			bind("GetManagedPrefixListEntries", "ec2:GetManagedPrefixListEntries", prefixListARN, getManagedPrefixListEntries),
			bindWriteOf("CreateFlowLogs", "ec2:CreateFlowLogs", createFlowLogsNeeds, createFlowLogs),
			bindWriteOf("DeleteFlowLogs", "ec2:DeleteFlowLogs", deleteFlowLogsNeeds, deleteFlowLogs),
		},
		"kms": {
			bind("DescribeKey", "kms:DescribeKey", describedKeyARN, describeKey),
			bind("GetKeyRotationStatus", "kms:GetKeyRotationStatus", rotatedKeyARN, getKeyRotationStatus),
			bind("ListGrants", "kms:ListGrants", grantedKeyARN, listGrants),
			bind("ListResourceTags", "kms:ListResourceTags", keyTagsARN, listResourceTags),
			bindWrite("EnableKey", "kms:EnableKey", enabledKeyARN, enableKey),
			bindWrite("DisableKey", "kms:DisableKey", disabledKeyARN, disableKey),
			bindWrite("ScheduleKeyDeletion", "kms:ScheduleKeyDeletion", scheduledKeyARN, scheduleKeyDeletion),
			bindWrite("CancelKeyDeletion", "kms:CancelKeyDeletion", cancelledKeyARN, cancelKeyDeletion),
			bindWrite("EnableKeyRotation", "kms:EnableKeyRotation", rotatingKeyARN, enableKeyRotation),
			bindWrite("DisableKeyRotation", "kms:DisableKeyRotation", unrotatedKeyARN, disableKeyRotation),
		},
		"s3": {
			bind("HeadBucket", "s3:ListBucket", headARN, headBucket),
			bind("GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock", blockARN, getPublicAccessBlock),
			bind("GetBucketPolicyStatus", "s3:GetBucketPolicyStatus", policyStatusARN, getBucketPolicyStatus),
			bind("GetBucketAcl", "s3:GetBucketAcl", aclARN, getBucketACL),
			bind("GetBucketEncryption", "s3:GetEncryptionConfiguration", encryptionARN, getBucketEncryption),
			bind("GetBucketVersioning", "s3:GetBucketVersioning", versioningARN, getBucketVersioning),
			bind("GetBucketLogging", "s3:GetBucketLogging", loggingARN, getBucketLogging),
			bind("ListObjectsV2", "s3:ListBucket", objectsARN, listObjects),
			bind("GetBucketLocation", "s3:GetBucketLocation", locationARN, getBucketLocation),
			bindWrite("PutBucketVersioning", "s3:PutBucketVersioning", newVersioningARN, putBucketVersioning),
			bindWrite("PutBucketLogging", "s3:PutBucketLogging", newLoggingARN, putBucketLogging),
		},
		"s3control": {
			bind("GetPublicAccessBlock", "s3:GetAccountPublicAccessBlock", nil, getAccountPublicAccessBlock),
		},
		"cloudtrail": {
			bind("DescribeTrails", "cloudtrail:DescribeTrails", nil, describeTrails),
			bind("GetTrailStatus", "cloudtrail:GetTrailStatus", trailStatusARN, getTrailStatus),
			bind("GetEventSelectors", "cloudtrail:GetEventSelectors", trailSelectorsARN, getEventSelectors),
			bind("GetTrail", "cloudtrail:GetTrail", shownTrailARN, getTrail),
			bindWriteOf("UpdateTrail", "cloudtrail:UpdateTrail", updateTrailNeeds, updateTrail),
			bindWrite("StartLogging", "cloudtrail:StartLogging", startedTrailARN, startLogging),
			bindWrite("StopLogging", "cloudtrail:StopLogging", stoppedTrailARN, stopLogging),
			bindWrite("PutEventSelectors", "cloudtrail:PutEventSelectors", newSelectorsARN, putEventSelectors),
		},
		"logs": {
			bind("DescribeLogGroups", "logs:DescribeLogGroups", logGroupsARN, describeLogGroups),
		},
		"iam": {
			bind("GetRole", "iam:GetRole", gotRoleARN, getRole),
			bind("SimulatePrincipalPolicy", "iam:SimulatePrincipalPolicy", simulatedARN, simulate),
		},
		"servicequotas": {
			bind("ListServiceQuotas", "servicequotas:ListServiceQuotas", nil, listQuotas),
		},
		"tag": {
			bind("GetResources", "tag:GetResources", nil, getResources),
		},
		"sts": {
			bind("GetCallerIdentity", "", nil, getCallerIdentity),
			bind("AssumeRole", "sts:AssumeRole", roleARN, assumeRole),
		},
		"organizations": {
			bind("ListAccounts", "organizations:ListAccounts", nil, listAccounts),
			bind("ListRoots", "organizations:ListRoots", nil, listRoots),
			bind("ListAccountsForParent", "organizations:ListAccountsForParent", nil, listAccountsForParent),
			bind("ListOrganizationalUnitsForParent", "organizations:ListOrganizationalUnitsForParent", nil, listUnitsForParent),
		},
	}
}
