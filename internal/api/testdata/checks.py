"""Checks with boto3 against the edge; prints "ok" or fails. Arguments: endpoint."""

import io
import json
import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint = sys.argv[1]


def client(name, **kw):
    config = Config(retries={"max_attempts": 1}, **kw)
    return boto3.client(name, region_name="us-east-1", endpoint_url=endpoint, config=config)


def refused(call, code, status, **members):
    try:
        call()
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, e.response
        assert e.response["ResponseMetadata"]["HTTPStatusCode"] == status, e.response
        for name, value in members.items():
            assert e.response["Error"].get(name) == value, e.response
        return e.response
    raise AssertionError(f"not refused with {code}")


assert client("sts").get_caller_identity()["Arn"] == "arn:aws:iam::123456789012:root"

kms = client("kms")
assert kms.create_key()["KeyMetadata"]["CreationDate"].timestamp() == 1700000000
assert kms.encrypt(KeyId="k", Plaintext=b"\x00\xffdata")["CiphertextBlob"] == b"sealed:\x00\xffdata"
refused(lambda: kms.describe_key(KeyId="nothing"), "NotFoundException", 400)
response = refused(lambda: kms.encrypt(KeyId="k", Plaintext=b"s" * 5000), "ValidationException", 400)
assert "length less than or equal to 4096" in str(response) and "sss" not in str(response), response

iam = client("iam")
policy = json.dumps({"Statement": [{"Effect": "Allow"}]})
role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=policy, Tags=[{"Key": "a b", "Value": "c+d"}])["Role"]
assert role["AssumeRolePolicyDocument"] == json.loads(policy) and role["Tags"] == [{"Key": "a b", "Value": "c+d"}]
refused(lambda: iam.get_role(RoleName="gone"), "NoSuchEntity", 404)

bedrock = client("bedrock")
job = dict(
    jobName="job", customModelName="model", roleArn="arn:aws:iam::123456789012:role/r", baseModelIdentifier="amazon.titan-text-lite-v1:0:4k",
    trainingDataConfig={"s3Uri": "s3://bucket/train.jsonl"}, outputDataConfig={"s3Uri": "s3://bucket"}, hyperParameters={"epochCount": "1"},
)
arn = bedrock.create_model_customization_job(**job)["jobArn"]
got = bedrock.get_model_customization_job(jobIdentifier=arn)
assert got["hyperParameters"] == {"epochCount": "1"} and got["validationMetrics"] == [] and "vpcConfig" not in got, got
assert got["creationTime"].microsecond == 123000
refused(lambda: bedrock.get_model_customization_job(jobIdentifier="nothing"), "ResourceNotFoundException", 404)
response = refused(lambda: bedrock.create_model_customization_job(**{**job, "jobName": "a_b", "trainingDataConfig": {"s3Uri": "http://x"}}), "ValidationException", 400)
assert response["Error"]["Message"].startswith("2 validation errors detected: Value 'a_b' at 'jobName' failed to satisfy constraint: Member must satisfy regular expression pattern: "), response
refused(lambda: bedrock.list_guardrails(), "ValidationException", 400)

KEYS = ["plain", "a//b", "a/../b", "./x", "a+b", "a%2Fb", "a b", "ünï/日本", "q?x=1&y", "tail/", "semi;colon", "star*'()!~"]
for kw in ({}, {"request_checksum_calculation": "when_required"}):
    s3 = client("s3", **kw)
    s3.create_bucket(Bucket="bucket")
    assert s3.get_bucket_location(Bucket="bucket")["LocationConstraint"] == "eu-west-1"
    refused(lambda: s3.get_bucket_encryption(Bucket="bucket"), "ServerSideEncryptionConfigurationNotFoundError", 404)
    for key in KEYS:
        s3.put_object(Bucket="bucket", Key=key, Body=key.encode(), Metadata={"name": "value"})
        answer = s3.get_object(Bucket="bucket", Key=key)
        assert answer["Body"].read() == key.encode() and answer["Metadata"] == {"name": "value"}, key
        assert s3.head_object(Bucket="bucket", Key=key)["ContentLength"] == len(key.encode())
    assert sorted(o["Key"] for o in s3.list_objects_v2(Bucket="bucket")["Contents"]) == sorted(KEYS)
    answer = s3.get_object(Bucket="bucket", Key="plain", Range="bytes=1-3")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206 and answer["Body"].read() == b"lai"
    refused(lambda: s3.get_object(Bucket="bucket", Key="gone"), "NoSuchKey", 404, Key="gone", BucketName="bucket")
    refused(lambda: s3.head_object(Bucket="bucket", Key="gone"), "404", 404)
    big = b"0123456789" * 1_000_000
    s3.upload_fileobj(io.BytesIO(big), "bucket", "big", Config=TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20))
    assert s3.get_object(Bucket="bucket", Key="big")["Body"].read() == big
    deleted = s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": k} for k in [*KEYS, "big"]]})["Deleted"]
    assert [d["Key"] for d in deleted] == [*KEYS, "big"]
    assert s3.list_objects_v2(Bucket="bucket")["KeyCount"] == 0
for algorithm in ("CRC32", "SHA1", "SHA256"):
    s3.put_object(Bucket="bucket", Key="sum", Body=io.BytesIO(b"data"), ChecksumAlgorithm=algorithm)
refused(lambda: s3.put_object(Bucket="bucket", Key="bad", Body=b"data", ChecksumSHA256="A" * 43 + "="), "BadDigest", 400)
refused(lambda: s3.put_object(Bucket="bucket", Key="bad", Body=b"data", ContentMD5="A" * 22 + "=="), "BadDigest", 400)
refused(lambda: s3.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/sum"), "NotImplemented", 501)
refused(lambda: s3.get_object(Bucket="bucket", Key="bad"), "NoSuchKey", 404)

print("ok")
