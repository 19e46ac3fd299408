#!/usr/bin/env bash
# Builds the systems named (OS/ARCH...), or all, into dist/ or the folder $DIST, each with its SBOM, and their checksums.
# The same commit and the same Go give the same bytes, wherever the checkout is. $VERSION is for trees without git.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${DIST:-dist}
export CGO_ENABLED=0 GOFLAGS='' GOEXPERIMENT='' GOAMD64=v1 GOARM64=v8.0
version=${VERSION:-$(git describe --always --dirty 2>/dev/null || echo devel)}
if [ $# -eq 0 ]; then set -- linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64; fi
# without_tool leaves out the hashes of the tool's own binary, the first in the document: each machine builds another.
without_tool() { awk '/"hashes": \[/ && !done {skip = 1} !skip; skip && /^ *\],?$/ {skip = 0; done = 1}'; }

rm -rf "$out"
mkdir -p "$out"
for target; do
	os=${target%/*} arch=${target#*/} suffix=
	[ "$os" != windows ] || suffix=.exe
	name=cloister_${version}_${os}_${arch}
	echo "dist: $name$suffix" >&2
	GOOS=$os GOARCH=$arch go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$version" -o "$out/$name$suffix" ./cmd/cloister
	go run -exec "env GOOS=$os GOARCH=$arch" github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0 bin -json -std -noserial -notimestamp \
		-version "$version" "$out/$name$suffix" 2>/dev/null | without_tool >"$out/$name.cdx.json"
done
cd "$out"
sha256sum cloister_* >SHA256SUMS
