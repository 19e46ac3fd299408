#!/usr/bin/env bash
# A job in a VPC, through the stock aws CLI: its network, its flows, and what becomes of it without a way to S3. Called by
# `make demo VPC=1`, after scripts/setup.sh, with the folder of the clients. On the tiny base model it takes half a minute;
# MODEL names another one.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$1:$PATH AWS_PAGER=
model=${MODEL:-cloister.tiny-v1:0}
work=$(mktemp -d -t cloister-demo-XXXXXX)
chmod 711 "$work" # as root the server is the user cloister, who passes here to its data
data=$work/data
server=
start=$SECONDS

finish() {
	status=$?
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

step "What this host can isolate"
run bin/cloister doctor

step "A server: as root it is the user cloister, and a helper alone is root"
bin/cloister serve --data "$data" --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 >"$work/ready" 2>"$work/server.log" &
server=$!
for _ in $(seq 300); do [ -s "$work/ready" ] && break || sleep 0.1; done
cat "$work/ready"
grep -q '^ready' "$work/ready"
ps -o user:10,args --no-headers -p "$server"
eval "$(bin/cloister env --data "$data")"

step "A VPC, two private subnets, a security group, an S3 endpoint, flow logs"
run bin/cloister network create --data "$data"
network=$(bin/cloister network create --name demo --cidr 10.30.0.0/16 --json --data "$data")
config=$(python3 -c 'import json,sys; print(json.load(sys.stdin)["vpcConfig"])' <<<"$network")
group=$(python3 -c 'import json,sys; print(json.load(sys.stdin)["securityGroup"])' <<<"$network")
bucket=$(python3 -c 'import json,sys; print(json.load(sys.stdin)["flowLogBucket"])' <<<"$network")

step "Buckets, a role, data"
run aws s3 mb s3://demo-input
run aws s3 mb s3://demo-output
cat >"$work/trust.json" <<'JSON'
{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
JSON
role=$(aws iam create-role --role-name demo-bedrock-role --assume-role-policy-document "file://$work/trust.json" --query Role.Arn --output text)
python3 -c 'import json
for n in range(1, 41): print(json.dumps({"prompt": f"Is {n} even?", "completion": "yes" if n % 2 == 0 else "no"}))' >"$work/train.jsonl"
run aws s3 cp --no-progress "$work/train.jsonl" s3://demo-input/train.jsonl

create() {
	run aws bedrock create-model-customization-job --job-name "$1" --custom-model-name "$1-model" \
		--base-model-identifier "$model" --role-arn "$role" --training-data-config s3Uri=s3://demo-input/train.jsonl \
		--output-data-config s3Uri=s3://demo-output --hyper-parameters batchSize=4,epochCount=1,learningRate=0.0001,learningRateWarmupSteps=0 \
		--vpc-config "$config"
}

step "Fine-tuning in the VPC"
create inside
run bin/cloister jobs watch inside
run aws bedrock get-model-customization-job --job-identifier inside --query vpcConfig

step "Where did the training data go?"
run bin/cloister jobs flows inside
run aws s3 ls --recursive "s3://$bucket"
key=$(aws s3api list-objects-v2 --bucket "$bucket" --query 'Contents[0].Key' --output text)
aws s3 cp --no-progress "s3://$bucket/$key" "$work/flow.log.gz"
gzip -dc "$work/flow.log.gz"

step "Without the rule that lets it reach S3"
list=$(aws ec2 describe-prefix-lists --filters "Name=prefix-list-name,Values=com.amazonaws.us-east-1.s3" --query 'PrefixLists[0].PrefixListId' --output text)
run aws ec2 revoke-security-group-egress --group-id "$group" --ip-permissions "IpProtocol=tcp,FromPort=443,ToPort=443,PrefixListIds=[{PrefixListId=$list}]"
create outside
if bin/cloister jobs wait outside; then
	echo "the job ran without a way to its data" >&2
	exit 1
fi
message=$(aws bedrock get-model-customization-job --job-identifier outside --query failureMessage --output text)
echo "$message"
[[ $message == SecurityGroupEgressBlocked:* ]]
printf '\ndemo: %d s\n' $((SECONDS - start))
