set -eu

unset AWS_ENDPOINT_URL
if [ "$(aws sts get-caller-identity --region us-east-1 --query Account --output text)" = 111122223333 ]; then

# 1.1 create job support-r1, account 111122223333
aws bedrock create-model-customization-job \
  --region us-east-1 \
  --job-name support-r1 \
  --custom-model-name support-r1 \
  --base-model-identifier arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k \
  --role-arn arn:aws:iam::111122223333:role/tune \
  --training-data-config s3Uri="s3://acme/train.jsonl" \
  --output-data-config s3Uri="s3://acme/out/" \
  --hyper-parameters batchSize="1",epochCount="2" \
  --custom-model-kms-key-id arn:aws:kms:us-east-1:111122223333:key/1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d \
  --vpc-config 'subnetIds="subnet-0a","subnet-0b",securityGroupIds="sg-0c"' \
  --client-request-token cloister-a73bdc7e9c63019cde6483ee59783d0c \
  --job-tags '[{"key":"note","value":"a${1.1.jobArn}"},{"key":"cloister:supersedes","value":"arn:aws:bedrock:us-east-1:111122223333:model-customization-job/amazon.nova-micro-v1:0:128k/b4ndb4ndb4nd"}]'
STEP_1_1_JOBARN=$(aws bedrock get-model-customization-job --region us-east-1 --job-identifier support-r1 --query jobArn --output text)

# 1.2 wait for job support-r1, account 111122223333
while STEP_1_2_STATUS=$(aws bedrock get-model-customization-job --region us-east-1 --job-identifier "$STEP_1_1_JOBARN" --query status --output text); [ "$STEP_1_2_STATUS" = InProgress ]; do sleep 60; done
[ "$STEP_1_2_STATUS" = Completed ] || { echo "the job is $STEP_1_2_STATUS" >&2; exit 1; }
STEP_1_2_MODELARN=$(aws bedrock get-model-customization-job --region us-east-1 --job-identifier "$STEP_1_1_JOBARN" --query outputModelArn --output text)

# 1.3 compare the losses, account 111122223333
aws bedrock get-model-customization-job --region us-east-1 --job-identifier "$STEP_1_1_JOBARN" --query '[trainingMetrics, validationMetrics]'
[ "${LOSSES_ACCEPTED:-}" = yes ] || { echo "compare these losses with those of the old job; if they are good, run this again with LOSSES_ACCEPTED=yes" >&2; exit 1; }

# 1.4 say on job support that support-r1 replaces it, account 111122223333
aws bedrock tag-resource \
  --region us-east-1 \
  --resource-arn arn:aws:bedrock:us-east-1:111122223333:model-customization-job/amazon.nova-micro-v1:0:128k/b4ndb4ndb4nd \
  --tags '[{"key":"cloister:superseded-by","value":"'"$STEP_1_1_JOBARN"'"}]'

# 1.5 bedrock:UpdateCustomModelDeployment, account 111122223333
aws bedrock update-custom-model-deployment \
  --region us-east-1 \
  --custom-model-deployment-identifier arn:aws:bedrock:us-east-1:111122223333:custom-model-deployment/d1 \
  --model-arn "$STEP_1_2_MODELARN"

# 1.6 bedrock:UpdateProvisionedModelThroughput, account 111122223333
aws bedrock update-provisioned-model-throughput \
  --region us-east-1 \
  --desired-model-id "$STEP_1_2_MODELARN" \
  --provisioned-model-id arn:aws:bedrock:us-east-1:111122223333:provisioned-model/p1

# 1.7 bedrock:PutModelInvocationLoggingConfiguration, account 111122223333
aws bedrock put-model-invocation-logging-configuration \
  --region us-east-1 \
  --logging-config '{"cloudWatchConfig":{"logGroupName":"g","roleArn":"arn:aws:iam::111122223333:role/logs"},"textDataDeliveryEnabled":true}'

# 1.8 ec2:CreateFlowLogs, account 111122223333
STEP_1_8_FLOWLOGID=$(aws ec2 create-flow-logs \
  --region us-east-1 \
  --client-token cloister-3dd282bbeb9500e87aefc7a9119164e7 \
  --deliver-logs-permission-arn arn:aws:iam::111122223333:role/flow \
  --no-dry-run \
  --log-destination arn:aws:logs:us-east-1:111122223333:log-group:flow \
  --max-aggregation-interval 60 \
  --resource-ids '["vpc-0a"]' \
  --resource-type VPC \
  --traffic-type ALL \
  --query 'FlowLogIds[0]' --output text)

# 1.9 s3:PutBucketVersioning, account 111122223333
aws s3api put-bucket-versioning \
  --region us-east-1 \
  --bucket acme \
  --versioning-configuration Status="Enabled"

# 1.10 s3:PutBucketLogging, account 111122223333
aws s3api put-bucket-logging \
  --region us-east-1 \
  --bucket acme \
  --bucket-logging-status '{"LoggingEnabled":{"TargetBucket":"logs","TargetPrefix":""}}'

# 1.11 cloudtrail:UpdateTrail, account 111122223333
aws cloudtrail update-trail \
  --region us-east-1 \
  --enable-log-file-validation \
  --name arn:aws:cloudtrail:us-east-1:111122223333:trail/t

# 1.12 cloudtrail:PutEventSelectors, account 111122223333
aws cloudtrail put-event-selectors \
  --region us-east-1 \
  --advanced-event-selectors '[{"FieldSelectors":[{"Equals":["Data"],"Field":"eventCategory"}],"Name":"n"}]' \
  --trail-name arn:aws:cloudtrail:us-east-1:111122223333:trail/t

# 1.13 kms:CancelKeyDeletion, account 111122223333
aws kms cancel-key-deletion \
  --region us-east-1 \
  --key-id 1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d

# 1.14 kms:EnableKey, account 111122223333
aws kms enable-key \
  --region us-east-1 \
  --key-id arn:aws:kms:us-east-1:111122223333:key/1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d

# 1.15 bedrock:StopModelCustomizationJob, account 111122223333
aws bedrock stop-model-customization-job \
  --region us-east-1 \
  --job-identifier arn:aws:bedrock:us-east-1:111122223333:model-customization-job/amazon.nova-micro-v1:0:128k/b4ndb4ndb4nd

# 1.16 bedrock:TagResource, account 111122223333
aws bedrock tag-resource \
  --region us-east-1 \
  --resource-arn arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/c00000000001 \
  --tags '[{"key":"a","value":"b"}]'
fi

unset AWS_ENDPOINT_URL
export AWS_ENDPOINT_URL=http://127.0.0.1:4566
if [ "$(aws sts get-caller-identity --region us-east-1 --query Account --output text)" = 444455556666 ]; then

# 2.1 let the key rotate, account 444455556666
aws kms enable-key-rotation \
  --region us-east-1 \
  --key-id arn:aws:kms:us-east-1:444455556666:key/5e6f1a2b-5e6f-4a1b-8c2d-3e4f5a6b7c8d
fi
