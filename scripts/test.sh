#!/usr/bin/env bash
# Every test but test-long, test-vm and bench-*, with the seconds of each stage. With CI set, a test that lacks what
# it needs fails instead of being skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
stage() {
	local name=$1 start=$SECONDS
	shift
	echo "== $name"
	"$@"
	echo "== $name: $((SECONDS - start)) s"
}
clients=$(scripts/setup.sh)
moto=$(bench/moto.sh)
export CLOISTER_CLIENTS=$clients CLOISTER_MOTO=$moto PATH=$clients:$PATH
stage "go vet" go vet ./...
stage "go test" go test -timeout 20m ./...
stage "race detector" go test -race -timeout 20m ./internal/runner ./internal/store ./internal/api ./internal/s3 ./internal/collect
stage "engine" scripts/engine-check.sh
