package awscall

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
)

// operations are the calls that can be made.
func operations() []operation {
	return []operation{
		read("bedrock:GetCustomModel", bedrockClient, (*bedrock.Client).GetCustomModel),
		read("bedrock:GetCustomModelDeployment", bedrockClient, (*bedrock.Client).GetCustomModelDeployment),
		read("bedrock:GetFoundationModel", bedrockClient, (*bedrock.Client).GetFoundationModel),
		read("bedrock:GetModelCustomizationJob", bedrockClient, (*bedrock.Client).GetModelCustomizationJob),
		read("bedrock:GetModelInvocationLoggingConfiguration", bedrockClient, (*bedrock.Client).GetModelInvocationLoggingConfiguration),
		read("bedrock:GetProvisionedModelThroughput", bedrockClient, (*bedrock.Client).GetProvisionedModelThroughput),
		read("bedrock:ListCustomModels", bedrockClient, (*bedrock.Client).ListCustomModels),
		read("bedrock:ListCustomModelDeployments", bedrockClient, (*bedrock.Client).ListCustomModelDeployments),
		read("bedrock:ListModelCustomizationJobs", bedrockClient, (*bedrock.Client).ListModelCustomizationJobs),
		read("bedrock:ListProvisionedModelThroughputs", bedrockClient, (*bedrock.Client).ListProvisionedModelThroughputs),
		read("bedrock:ListTagsForResource", bedrockClient, (*bedrock.Client).ListTagsForResource),
		write("bedrock:CreateModelCustomizationJob", bedrockClient, (*bedrock.Client).CreateModelCustomizationJob),
		write("bedrock:DeleteCustomModel", bedrockClient, (*bedrock.Client).DeleteCustomModel),
		write("bedrock:DeleteModelInvocationLoggingConfiguration", bedrockClient, (*bedrock.Client).DeleteModelInvocationLoggingConfiguration),
		write("bedrock:PutModelInvocationLoggingConfiguration", bedrockClient, (*bedrock.Client).PutModelInvocationLoggingConfiguration),
		write("bedrock:StopModelCustomizationJob", bedrockClient, (*bedrock.Client).StopModelCustomizationJob),
		write("bedrock:TagResource", bedrockClient, (*bedrock.Client).TagResource),
		write("bedrock:UntagResource", bedrockClient, (*bedrock.Client).UntagResource),
		write("bedrock:UpdateCustomModelDeployment", bedrockClient, (*bedrock.Client).UpdateCustomModelDeployment),
		write("bedrock:UpdateProvisionedModelThroughput", bedrockClient, (*bedrock.Client).UpdateProvisionedModelThroughput),

		read("cloudtrail:DescribeTrails", trailClient, (*cloudtrail.Client).DescribeTrails),
		read("cloudtrail:GetEventSelectors", trailClient, (*cloudtrail.Client).GetEventSelectors),
		read("cloudtrail:GetTrailStatus", trailClient, (*cloudtrail.Client).GetTrailStatus),
		write("cloudtrail:PutEventSelectors", trailClient, (*cloudtrail.Client).PutEventSelectors),
		write("cloudtrail:StartLogging", trailClient, (*cloudtrail.Client).StartLogging),
		write("cloudtrail:StopLogging", trailClient, (*cloudtrail.Client).StopLogging),
		write("cloudtrail:UpdateTrail", trailClient, (*cloudtrail.Client).UpdateTrail),

		read("ec2:DescribeFlowLogs", ec2Client, (*ec2.Client).DescribeFlowLogs),
		read("ec2:DescribeRouteTables", ec2Client, (*ec2.Client).DescribeRouteTables),
		read("ec2:DescribeSecurityGroups", ec2Client, (*ec2.Client).DescribeSecurityGroups),
		read("ec2:DescribeVpcEndpoints", ec2Client, (*ec2.Client).DescribeVpcEndpoints),
		read("ec2:DescribeSubnets", ec2Client, (*ec2.Client).DescribeSubnets),
		write("ec2:CreateFlowLogs", ec2Client, (*ec2.Client).CreateFlowLogs),
		write("ec2:DeleteFlowLogs", ec2Client, (*ec2.Client).DeleteFlowLogs),

		read("iam:GetRole", iamClient, (*iam.Client).GetRole),
		read("iam:SimulatePrincipalPolicy", iamClient, (*iam.Client).SimulatePrincipalPolicy),

		read("kms:DescribeKey", kmsClient, (*kms.Client).DescribeKey),
		read("kms:GetKeyRotationStatus", kmsClient, (*kms.Client).GetKeyRotationStatus),
		read("kms:ListResourceTags", kmsClient, (*kms.Client).ListResourceTags),
		write("kms:CancelKeyDeletion", kmsClient, (*kms.Client).CancelKeyDeletion),
		write("kms:DisableKey", kmsClient, (*kms.Client).DisableKey),
		write("kms:DisableKeyRotation", kmsClient, (*kms.Client).DisableKeyRotation),
		write("kms:EnableKey", kmsClient, (*kms.Client).EnableKey),
		write("kms:EnableKeyRotation", kmsClient, (*kms.Client).EnableKeyRotation),

		read("s3:GetBucketLogging", s3Client, (*s3.Client).GetBucketLogging),
		read("s3:GetBucketVersioning", s3Client, (*s3.Client).GetBucketVersioning),
		read("s3:ListObjectsV2", s3Client, (*s3.Client).ListObjectsV2),
		write("s3:PutBucketLogging", s3Client, (*s3.Client).PutBucketLogging),
		write("s3:PutBucketVersioning", s3Client, (*s3.Client).PutBucketVersioning),

		read("service-quotas:ListServiceQuotas", quotasClient, (*servicequotas.Client).ListServiceQuotas),
	}
}

// Endpoint is the endpoint that is configured for a service, here or in the environment; "" is AWS's own.
func Endpoint(service string, cfg aws.Config) string {
	var base *string
	switch service {
	case "bedrock":
		base = bedrockClient(cfg).Options().BaseEndpoint
	case "cloudtrail":
		base = trailClient(cfg).Options().BaseEndpoint
	case "ec2":
		base = ec2Client(cfg).Options().BaseEndpoint
	case "iam":
		base = iamClient(cfg).Options().BaseEndpoint
	case "kms":
		base = kmsClient(cfg).Options().BaseEndpoint
	case "s3":
		base = s3Client(cfg).Options().BaseEndpoint
	case "service-quotas":
		base = quotasClient(cfg).Options().BaseEndpoint
	}
	return aws.ToString(base)
}

func bedrockClient(cfg aws.Config) *bedrock.Client { return bedrock.NewFromConfig(cfg) }

func trailClient(cfg aws.Config) *cloudtrail.Client { return cloudtrail.NewFromConfig(cfg) }

func ec2Client(cfg aws.Config) *ec2.Client { return ec2.NewFromConfig(cfg) }

func iamClient(cfg aws.Config) *iam.Client { return iam.NewFromConfig(cfg) }

func kmsClient(cfg aws.Config) *kms.Client { return kms.NewFromConfig(cfg) }

func quotasClient(cfg aws.Config) *servicequotas.Client { return servicequotas.NewFromConfig(cfg) }

// s3Client addresses buckets by path where the endpoint is given: it has no names of its own for them.
func s3Client(cfg aws.Config) *s3.Client {
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil
		o.DisableLogOutputChecksumValidationSkipped = true
	})
}
