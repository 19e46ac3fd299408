#!/usr/bin/env bash
# The main job on real input, through the stock clients: see README. Called by `make demo`, after scripts/setup.sh,
# with the folder of the clients. KEEP=1 leaves the server running.
set -euo pipefail
cd "$(dirname "$0")/.."
clients=$1
work=$(mktemp -d -t cloister-demo-XXXXXX)
chmod 711 "$work" # as root the server is the user cloister, who passes here to its data
data=$work/data
cache=${XDG_CACHE_HOME:-$HOME/.cache}/cloister/demo
server=
export PATH=$clients:$PATH AWS_PAGER=
start=$SECONDS

finish() {
	status=$?
	if [ "$status" -eq 0 ] && [ -n "${KEEP:-}" ]; then return; fi
	if [ -n "$server" ]; then kill "$server" 2>/dev/null && wait "$server" || true; fi
	if [ "$status" -ne 0 ] && [ -s "$work/server.log" ]; then
		echo "--- the end of the server's log ---" >&2
		tail -n 20 "$work/server.log" >&2
	fi
	rm -rf "$work"
}
trap finish EXIT

step() { printf '\n\033[1m== %s\033[0m  (%d s)\n' "$*" $((SECONDS - start)); }
run() { # shows a command, then does it
	printf '$ %s\n' "$*"
	"$@"
}

step "Real data: 480 mails, speeches of 1890 to 1905"
python3 demo/prepare.py --out "$work" --cache "$cache"

step "A server in a scratch directory"
if [ -n "${KEEP:-}" ]; then # let it outlive this script
	setsid bin/cloister serve --data "$data" --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 >"$work/ready" 2>"$work/server.log" &
else
	bin/cloister serve --data "$data" --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 >"$work/ready" 2>"$work/server.log" &
fi
server=$!
for _ in $(seq 100); do [ -s "$work/ready" ] && break || sleep 0.1; done
cat "$work/ready"
grep -q '^ready' "$work/ready"
eval "$(bin/cloister env --data "$data")"

step "Buckets, a key, a role"
run aws s3 mb s3://demo-input
run aws s3 mb s3://demo-output
key=$(aws kms create-key --description "demo" --query KeyMetadata.Arn --output text)
echo "key $key"
run aws s3api put-bucket-encryption --bucket demo-output --server-side-encryption-configuration \
	"{\"Rules\":[{\"ApplyServerSideEncryptionByDefault\":{\"SSEAlgorithm\":\"aws:kms\",\"KMSMasterKeyID\":\"$key\"},\"BucketKeyEnabled\":true}]}"
cat >"$work/trust.json" <<'JSON'
{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole",
 "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"},
               "ArnEquals": {"aws:SourceArn": "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/*"}}}]}
JSON
role=$(aws iam create-role --role-name demo-bedrock-role --assume-role-policy-document "file://$work/trust.json" --query Role.Arn --output text)
echo "role $role"

step "Upload: the aws CLI and boto3's transfer manager"
run aws s3 cp --no-progress "$work/train.jsonl" s3://demo-input/train.jsonl
run aws s3 cp --no-progress "$work/speeches.jsonl" s3://demo-input/speeches.jsonl
python3 demo/clients.py upload "$work/validation.jsonl" demo-input validation.jsonl

step "Fine-tuning: Titan's id, full weights, learning rate 0.00001 as in AWS's document"
run aws bedrock create-model-customization-job --job-name mails --custom-model-name mails-model \
	--base-model-identifier arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-text-lite-v1:0:4k --role-arn "$role" \
	--training-data-config s3Uri=s3://demo-input/train.jsonl --validation-data-config 'validators=[{s3Uri=s3://demo-input/validation.jsonl}]' \
	--output-data-config s3Uri=s3://demo-output --custom-model-kms-key-id "$key" \
	--hyper-parameters batchSize=4,epochCount=1,learningRate=0.00001,learningRateWarmupSteps=5
run aws bedrock create-model-customization-job --job-name speeches --custom-model-name speeches-model \
	--customization-type CONTINUED_PRE_TRAINING --base-model-identifier amazon.titan-text-lite-v1:0:4k --role-arn "$role" \
	--training-data-config s3Uri=s3://demo-input/speeches.jsonl --output-data-config s3Uri=s3://demo-output \
	--custom-model-kms-key-id "$key" --hyper-parameters batchSize=2,epochCount=1,learningRate=0.0001,learningRateWarmupSteps=1
run bin/cloister jobs watch mails
run bin/cloister jobs watch speeches

step "What get-model-customization-job answers"
run aws bedrock get-model-customization-job --job-identifier mails
run aws bedrock get-model-customization-job --job-identifier mails --query vpcConfig

step "The metrics, read back from S3 with boto3"
python3 demo/clients.py metrics demo-output "$(aws bedrock get-model-customization-job --job-identifier mails --query jobArn --output text)"

step "Base against custom model: 120 held-out mails, 6 held-out passages"
bin/cloister models compare mails-model --prompts "$work/heldout.jsonl" --max-new-tokens 8 --json >"$work/mails.json"
bin/cloister models compare speeches-model --records "$work/speeches-heldout.jsonl" --json >"$work/speeches.json"

step "Ciphertext: nothing of the model or the data is on the disk in the clear"
run bin/cloister models prove mails-model --data "$data" --plaintext "$work/train.jsonl"
run bin/cloister models prove speeches-model --data "$data" --plaintext "$work/speeches.jsonl"

step "Result"
python3 demo/clients.py judge "$work/heldout.jsonl" "$work/mails.json" "$work/speeches.json"
printf 'demo: %d s\n' $((SECONDS - start))

if [ -n "${KEEP:-}" ]; then
	cat <<TEXT

The server goes on (process $server, $work). Next:
  eval "\$($PWD/bin/cloister env --data $data)"
  $PWD/bin/cloister jobs show mails --data $data
  kill $server && rm -rf $work
TEXT
fi
