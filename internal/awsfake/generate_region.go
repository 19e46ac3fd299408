package awsfake

import (
	"fmt"
	"strings"
)

const baseModel = "amazon.nova-micro-v1:0:128k"

func (g *generated) region(name string, jobs, models int) tree {
	r := tree{"jobs": list{}, "models": list{}, "deployments": list{}, "logging": tree{
		"s3Config": tree{"bucketName": g.bucket(name, "invocations", 0)}, "textDataDeliveryEnabled": true,
	}, "keys": list{g.key(name, 0)}}
	if jobs == 0 && models == 0 {
		return r
	}
	r["foundationModels"] = list{tree{
		"modelArn": "arn:aws:bedrock:" + name + "::foundation-model/" + baseModel, "modelId": baseModel,
		"modelName": "Nova Micro", "providerName": "Amazon", "customizationsSupported": list{"FINE_TUNING"},
		"modelLifecycle": tree{"status": "ACTIVE"},
	}}
	r["prefixLists"] = list{tree{"PrefixListId": "pl-63a5400a", "PrefixListName": "com.amazonaws." + name + ".s3", "OwnerId": "AWS"}}
	for i := range g.of(jobs-1, jobsPerVPC) + 1 {
		g.network(r, name, i)
	}
	for i := range g.of(jobs-1, jobsPerGroup) + 1 {
		r["securityGroups"] = append(items(r, "securityGroups"), g.group(name, i))
	}
	for i := range g.of(jobs-1, jobsPerKey) + 1 {
		r["keys"] = append(items(r, "keys"), g.key(name, i+1))
	}
	for i := range jobs {
		job := g.job(name, i)
		r["jobs"] = append(items(r, "jobs"), job)
		if job["status"] == "Completed" && g.o.Models == 0 {
			g.model(r, name, i)
		}
	}
	for i := range models {
		g.model(r, name, i)
	}
	return r
}

// of is which one of a kind the n-th job uses, if usually so many jobs share one.
func (g *generated) of(n, many int) int { return n / (many * g.o.Sharing) }

func items(r tree, name string) list {
	have, _ := r[name].(list)
	return have
}

// every says that the n-th job or model of a region is one of every so many.
func (g *generated) every(many, n int) bool { return (g.first+n)%many == many-1 }

func (g *generated) tags(n int) tree {
	if g.every(noTags, n) {
		return tree{}
	}
	return tree{"owner": fmt.Sprintf("team-%d", n%7), "data-class": "internal", "purpose": "benchmark"}
}

func (g *generated) jobARN(region string, n int) string {
	return g.arn("bedrock", region, "model-customization-job/"+baseModel+"/"+hexID(12, "job", region, n))
}

func (g *generated) modelARN(region string, n int) string {
	return g.arn("bedrock", region, "custom-model/"+baseModel+"/"+hexID(12, "model", region, n))
}

func (g *generated) job(region string, n int) tree {
	job := tree{
		"jobArn": g.jobARN(region, n), "jobName": fmt.Sprintf("job-%d", n), "outputModelName": fmt.Sprintf("model-%d", n),
		"roleArn": "arn:aws:iam::" + g.o.Account + ":role/bedrock-customization", "status": "Completed",
		"creationTime": moment(n), "lastModifiedTime": moment(n + 2), "endTime": moment(n + 2),
		"baseModelArn": "arn:aws:bedrock:" + region + "::foundation-model/" + baseModel, "customizationType": "FINE_TUNING",
		"hyperParameters":    tree{"epochCount": "2", "batchSize": "1", "learningRate": "0.00001"},
		"trainingDataConfig": tree{"s3Uri": "s3://" + g.bucket(region, "data", g.of(n, jobsPerBucket)) + "/train.jsonl"},
		"outputDataConfig":   tree{"s3Uri": "s3://" + g.bucket(region, "output", g.of(n, jobsPerBucket)) + "/"},
		"tags":               g.tags(n),
	}
	if !g.every(noKey, n) {
		job["outputModelKmsKeyArn"] = g.keyARN(region, 1+g.of(n, jobsPerKey))
	}
	if !g.every(noVPC, n) {
		v := g.of(n, jobsPerVPC)
		job["vpcConfig"] = tree{
			"subnetIds": list{"subnet-" + hexID(17, region, v, 0), "subnet-" + hexID(17, region, v, 1)}, "securityGroupIds": list{"sg-" + hexID(17, "sg", region, g.of(n, jobsPerGroup))},
		}
	}
	if g.every(failed, n) {
		job["status"], job["failureMessage"] = "Failed", "The training data could not be read."
	} else {
		job["outputModelArn"] = g.modelARN(region, n)
	}
	return job
}

func (g *generated) model(r tree, region string, n int) {
	model := tree{
		"modelArn": g.modelARN(region, n), "modelName": fmt.Sprintf("model-%d", n), "jobArn": g.jobARN(region, n),
		"jobName": fmt.Sprintf("job-%d", n), "baseModelArn": "arn:aws:bedrock:" + region + "::foundation-model/" + baseModel,
		"customizationType": "FINE_TUNING", "creationTime": moment(n + 2), "modelStatus": "Active", "tags": g.tags(n),
	}
	if !g.every(noKey, n) {
		model["modelKmsKeyArn"] = g.keyARN(region, 1+g.of(n, jobsPerKey))
	}
	r["models"] = append(items(r, "models"), model)
	if n%2 == 0 {
		r["deployments"] = append(items(r, "deployments"), tree{
			"customModelDeploymentArn":  g.arn("bedrock", region, "custom-model-deployment/"+hexID(12, "deployment", region, n)),
			"customModelDeploymentName": fmt.Sprintf("deployment-%d", n), "modelArn": g.modelARN(region, n),
			"createdAt": moment(n + 3), "status": "Active", "tags": g.tags(n),
		})
	}
}

func (g *generated) key(region string, n int) tree {
	arn := g.keyARN(region, n)
	_, id, _ := strings.Cut(arn, "key/")
	return tree{
		"metadata": tree{
			"AWSAccountId": g.o.Account, "KeyId": id, "Arn": arn, "CreationDate": moment(0), "Enabled": true,
			"KeyUsage": "ENCRYPT_DECRYPT", "KeyState": "Enabled", "Origin": "AWS_KMS", "KeyManager": "CUSTOMER",
			"KeySpec": "SYMMETRIC_DEFAULT", "EncryptionAlgorithms": list{"SYMMETRIC_DEFAULT"}, "MultiRegion": false,
		},
		"rotation": tree{"KeyId": arn, "KeyRotationEnabled": true},
		"grants": list{tree{
			"KeyId": arn, "GrantId": hexID(64, "grant", region, n), "GranteePrincipal": "bedrock.amazonaws.com",
			"RetiringPrincipal": "bedrock.amazonaws.com", "Operations": list{"Decrypt", "CreateGrant", "GenerateDataKey", "DescribeKey"},
		}},
		"aliases": list{fmt.Sprintf("alias/models-%d", n)},
	}
}

func (g *generated) group(region string, n int) tree {
	return tree{
		"GroupId": "sg-" + hexID(17, "sg", region, n), "GroupName": fmt.Sprintf("training-%d", n), "OwnerId": g.o.Account,
		"VpcId": "vpc-" + hexID(17, "vpc", region, n*jobsPerGroup/jobsPerVPC), "IpPermissions": list{},
		"IpPermissionsEgress": list{tree{
			"IpProtocol": "tcp", "FromPort": number(443), "ToPort": number(443), "PrefixListIds": list{tree{"PrefixListId": "pl-63a5400a"}},
		}},
	}
}

// network adds a VPC to r with all that belongs to it.
func (g *generated) network(r tree, region string, n int) {
	vpc, table, endpoint := "vpc-"+hexID(17, "vpc", region, n), "rtb-"+hexID(17, "rtb", region, n), "vpce-"+hexID(17, "vpce", region, n)
	associations := list{tree{"Main": true, "RouteTableId": table, "RouteTableAssociationId": "rtbassoc-" + hexID(17, "main", region, n)}}
	for i := range 3 {
		id := "subnet-" + hexID(17, region, n, i)
		r["subnets"] = append(items(r, "subnets"), tree{
			"SubnetId": id, "VpcId": vpc, "OwnerId": g.o.Account, "State": "available", "AvailabilityZone": region + string(rune('a'+i)),
			"CidrBlock": fmt.Sprintf("10.%d.%d.0/24", n%256, i), "AvailableIpAddressCount": number(251), "MapPublicIpOnLaunch": false,
		})
		associations = append(associations, tree{"Main": false, "RouteTableId": table, "SubnetId": id, "RouteTableAssociationId": "rtbassoc-" + hexID(17, "assoc", id)})
	}
	r["vpcs"] = append(items(r, "vpcs"), tree{"VpcId": vpc, "EnableDnsSupport": true, "EnableDnsHostnames": true})
	r["routeTables"] = append(items(r, "routeTables"), tree{
		"RouteTableId": table, "VpcId": vpc, "OwnerId": g.o.Account, "Associations": associations,
		"Routes": list{
			tree{"DestinationCidrBlock": fmt.Sprintf("10.%d.0.0/16", n%256), "GatewayId": "local", "State": "active"},
			tree{"DestinationPrefixListId": "pl-63a5400a", "GatewayId": endpoint, "State": "active"},
		},
	})
	r["vpcEndpoints"] = append(items(r, "vpcEndpoints"), tree{
		"VpcEndpointId": endpoint, "VpcEndpointType": "Gateway", "VpcId": vpc, "State": "available",
		"ServiceName": "com.amazonaws." + region + ".s3", "RouteTableIds": list{table},
		"PolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::acme-*"}]}`,
	})
	r["flowLogs"] = append(items(r, "flowLogs"), tree{
		"FlowLogId": "fl-" + hexID(17, "fl", region, n), "ResourceId": vpc, "FlowLogStatus": "ACTIVE", "TrafficType": "ALL",
	})
}
