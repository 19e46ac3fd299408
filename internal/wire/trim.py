#!/usr/bin/env python3
"""Cut botocore's API models to what package wire needs and write them to models/*.json.gz.

Run it from anywhere with botocore 1.43.11 installed (pip install botocore==1.43.11). The models of the
AWS that tests talk to go to ../awsfake/models, so that the program does not carry them. Documentation
text is dropped. Every operation keeps its name and its route, so that an unserved one is recognised;
only the served ones keep their shapes. Every exception of a service is kept, for its HTTP status.
The output is reproducible: running it twice gives the same bytes.
"""

import gzip
import json
import pathlib

import botocore

VERSION = "1.43.11"

SERVED = {
    "bedrock": (
        "2023-04-20",
        """CreateModelCustomizationJob GetModelCustomizationJob ListModelCustomizationJobs
        StopModelCustomizationJob GetCustomModel ListCustomModels DeleteCustomModel GetFoundationModel
        ListFoundationModels TagResource UntagResource ListTagsForResource""",
    ),
    "kms": (
        "2014-11-01",
        """CreateKey DescribeKey ListKeys CreateAlias DeleteAlias ListAliases UpdateAlias Encrypt Decrypt
        GenerateDataKey GenerateDataKeyWithoutPlaintext GetKeyPolicy PutKeyPolicy ListKeyPolicies EnableKey
        DisableKey ScheduleKeyDeletion CancelKeyDeletion CreateGrant ListGrants RetireGrant RevokeGrant""",
    ),
    "iam": (
        "2010-05-08",
        """CreateRole GetRole ListRoles DeleteRole PutRolePolicy GetRolePolicy ListRolePolicies
        DeleteRolePolicy""",
    ),
    "sts": ("2011-06-15", "GetCallerIdentity"),
    "s3": (
        "2006-03-01",
        """CreateBucket HeadBucket ListBuckets DeleteBucket GetBucketLocation GetBucketEncryption
        PutBucketEncryption DeleteBucketEncryption PutObject GetObject HeadObject DeleteObject DeleteObjects
        ListObjects ListObjectsV2 CreateMultipartUpload UploadPart CompleteMultipartUpload
        AbortMultipartUpload ListParts ListMultipartUploads GetBucketPolicy PutBucketPolicy
        DeleteBucketPolicy GetPublicAccessBlock PutPublicAccessBlock DeletePublicAccessBlock""",
    ),
    # VPCs: what a job's network is made of, and what Terraform asks on the way.
    "ec2": (
        "2016-11-15",
        """CreateVpc DescribeVpcs DeleteVpc ModifyVpcAttribute DescribeVpcAttribute CreateSubnet DescribeSubnets
        DeleteSubnet ModifySubnetAttribute CreateSecurityGroup DescribeSecurityGroups DeleteSecurityGroup
        AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress RevokeSecurityGroupIngress
        RevokeSecurityGroupEgress DescribeSecurityGroupRules ModifySecurityGroupRules
        UpdateSecurityGroupRuleDescriptionsIngress UpdateSecurityGroupRuleDescriptionsEgress CreateRouteTable
        DescribeRouteTables DeleteRouteTable AssociateRouteTable DisassociateRouteTable
        ReplaceRouteTableAssociation CreateRoute ReplaceRoute DeleteRoute CreateVpcEndpoint DescribeVpcEndpoints
        ModifyVpcEndpoint DeleteVpcEndpoints DescribeVpcEndpointServices DescribePrefixLists
        DescribeManagedPrefixLists GetManagedPrefixListEntries DescribeNetworkInterfaces CreateFlowLogs
        DescribeFlowLogs DeleteFlowLogs DescribeRegions DescribeAvailabilityZones DescribeDhcpOptions
        DescribeNetworkAcls DescribeAccountAttributes CreateInternetGateway AttachInternetGateway
        DetachInternetGateway DeleteInternetGateway DescribeInternetGateways CreateNatGateway DescribeNatGateways
        DeleteNatGateway AllocateAddress DescribeAddresses DescribeAddressesAttribute ReleaseAddress CreateTags
        DeleteTags DescribeTags""",
    ),
}

# What package awsfake serves, for tests: what an audit reads and what a remediation changes.
FAKED = {
    "bedrock": (
        "2023-04-20",
        """ListModelCustomizationJobs GetModelCustomizationJob ListCustomModels GetCustomModel
        ListCustomModelDeployments ListProvisionedModelThroughputs ListModelImportJobs GetModelImportJob
        ListImportedModels GetImportedModel ListModelCopyJobs GetFoundationModel
        GetModelInvocationLoggingConfiguration ListTagsForResource CreateModelCustomizationJob
        StopModelCustomizationJob DeleteCustomModel GetCustomModelDeployment UpdateCustomModelDeployment
        GetProvisionedModelThroughput UpdateProvisionedModelThroughput TagResource UntagResource
        PutModelInvocationLoggingConfiguration DeleteModelInvocationLoggingConfiguration""",
    ),
    "ec2": (
        "2016-11-15",
        """DescribeRegions DescribeSubnets DescribeSecurityGroups DescribeRouteTables DescribeVpcEndpoints
        DescribeFlowLogs DescribeVpcAttribute DescribeNetworkInterfaces DescribeManagedPrefixLists
        GetManagedPrefixListEntries CreateFlowLogs DeleteFlowLogs""",
    ),
    "kms": (
        "2014-11-01",
        """DescribeKey GetKeyRotationStatus ListGrants ListResourceTags EnableKey DisableKey ScheduleKeyDeletion
        CancelKeyDeletion EnableKeyRotation DisableKeyRotation""",
    ),
    "s3": (
        "2006-03-01",
        """HeadBucket GetPublicAccessBlock GetBucketPolicyStatus GetBucketAcl GetBucketEncryption
        GetBucketVersioning GetBucketLogging GetBucketLocation ListObjectsV2 PutBucketVersioning PutBucketLogging""",
    ),
    "s3control": ("2018-08-20", "GetPublicAccessBlock"),
    "cloudtrail": (
        "2013-11-01",
        """DescribeTrails GetTrail GetTrailStatus GetEventSelectors UpdateTrail StartLogging StopLogging
        PutEventSelectors""",
    ),
    "logs": ("2014-03-28", "DescribeLogGroups"),
    "iam": ("2010-05-08", "GetRole SimulatePrincipalPolicy"),
    "tag": ("2017-01-26", "GetResources"),
    "sts": ("2011-06-15", "GetCallerIdentity AssumeRole"),
    "servicequotas": ("2019-06-24", "ListServiceQuotas"),
    "organizations": (
        "2016-11-28",
        "ListAccounts ListRoots ListAccountsForParent ListOrganizationalUnitsForParent",
    ),
}

# Where botocore's folder is not called as credential scopes call the service, or as its actions in IAM, which reports use.
FOLDERS = {"servicequotas": "service-quotas", "tag": "resourcegroupstaggingapi"}

METADATA = ("apiVersion", "endpointPrefix", "jsonVersion", "protocol", "serviceId", "signingName", "targetPrefix", "xmlNamespace")
REF = ("shape", "location", "locationName", "queryName", "streaming", "flattened", "xmlAttribute",
       "idempotencyToken", "timestampFormat", "xmlNamespace", "resultWrapper")
SHAPE = ("type", "required", "min", "max", "pattern", "enum", "payload", "flattened", "union", "sensitive",
         "timestampFormat", "locationName", "xmlNamespace", "exception", "fault", "error", "streaming")


def pick(source, keys):
    out = {k: source[k] for k in keys if source.get(k) not in (None, False)}
    if isinstance(out.get("xmlNamespace"), dict):
        out["xmlNamespace"] = out["xmlNamespace"]["uri"]
    return out


def shape(source):
    out = pick(source, SHAPE)
    if "members" in source:
        out["members"] = [{"name": n, **pick(r, REF)} for n, r in source["members"].items()]
    for k in ("member", "key", "value"):
        if k in source:
            out[k] = pick(source[k], REF)
    return out


def route(model, op):
    """The query keys and headers that a request must carry to be this operation."""
    out = {"method": op["http"]["method"], "uri": op["http"]["requestUri"]}
    if "responseCode" in op["http"]:
        out["code"] = op["http"]["responseCode"]
    if "input" in op:
        source = model["shapes"][op["input"]["shape"]]
        for name in source.get("required", []):
            ref = source["members"][name]
            if ref.get("location") == "querystring":
                out.setdefault("query", []).append(ref.get("locationName", name))
            if ref.get("location") == "header" and op["http"]["method"] == "PUT":
                out.setdefault("headers", []).append(ref.get("locationName", name))
    return out


def as_sdk(shapes):
    """Where botocore's S3 model and the Go SDK differ, follow the SDK.

    Expires: a string for botocore, a time in the SDK's inputs, ExpiresString in its outputs. Part number
    markers: integers for botocore, strings in the SDK.
    """
    shapes["PartNumberMarker"] = {"type": "string"}
    shapes["NextPartNumberMarker"] = {"type": "string"}
    shapes["ExpiresTime"] = {"type": "timestamp", "timestampFormat": "rfc822"}
    for name in ("PutObjectRequest", "CreateMultipartUploadRequest"):
        for member in shapes.get(name, {}).get("members", []):
            if member["name"] == "Expires":
                member["shape"] = "ExpiresTime"
    for name in ("GetObjectOutput", "HeadObjectOutput"):
        for member in shapes.get(name, {}).get("members", []):
            if member["name"] == "Expires":
                member["name"] = "ExpiresString"


def trim(service, version, served):
    folder = pathlib.Path(botocore.__file__).parent / "data" / FOLDERS.get(service, service)
    path = folder / version / "service-2.json.gz"
    model = json.loads(gzip.decompress(path.read_bytes()))
    missing = set(served) - set(model["operations"])
    if missing:
        raise SystemExit(f"{service} has no operation {sorted(missing)}")
    out = {"metadata": pick(model["metadata"], METADATA), "operations": [], "shapes": {}}
    todo = [n for n, s in model["shapes"].items() if s.get("exception")]
    rest = model["metadata"]["protocol"].startswith("rest-")
    for name, op in sorted(model["operations"].items()):
        row = {"name": name}
        if rest:
            row["http"] = route(model, op)
        if name in served:
            row["served"] = True
            for k in ("input", "output"):
                if k in op:
                    row[k] = pick(op[k], REF)
                    todo.append(op[k]["shape"])
        out["operations"].append(row)
    while todo:
        name = todo.pop()
        if name in out["shapes"]:
            continue
        source = model["shapes"][name]
        out["shapes"][name] = shape(source)
        todo += [r["shape"] for r in source.get("members", {}).values()]
        todo += [source[k]["shape"] for k in ("member", "key", "value") if k in source]
    if service == "s3":
        as_sdk(out["shapes"])
    out["shapes"] = dict(sorted(out["shapes"].items()))
    return out


def write(target, services):
    target.mkdir(exist_ok=True)
    for service, (version, names) in services.items():
        out = trim(service, version, names.split())
        text = json.dumps(out, separators=(",", ":")).encode()
        data = gzip.compress(text, 9, mtime=0)
        (target / f"{service}.json.gz").write_bytes(data)
        print(f"{service}: {len(out['operations'])} operations, {len(out['shapes'])} shapes, {len(data)} bytes")


def main():
    if botocore.__version__ != VERSION:
        raise SystemExit(f"botocore is {botocore.__version__}: pip install botocore=={VERSION}")
    here = pathlib.Path(__file__).parent
    write(here / "models", SERVED)
    write(here.parent / "awsfake" / "models", FAKED)


if __name__ == "__main__":
    main()
