#!/usr/bin/env bash
# Writes dist/cloister_VERSION_image.tar: an OCI archive for linux/amd64 and linux/arm64, from scratch, without Docker. The same
# commit and the same Go give the same bytes. `podman load`, `skopeo copy oci-archive:…` and Docker 25's `docker load` read it.
set -euo pipefail
cd "$(dirname "$0")/.."
VERSION=${VERSION:-$(git describe --always --dirty 2>/dev/null || echo devel)}
export VERSION
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
DIST=$work scripts/dist.sh linux/amd64 linux/arm64
mkdir -p dist
image=dist/cloister_${VERSION}_image.tar
go run ./scripts/image write "$image" "$VERSION" \
	"linux/amd64=$work/cloister_${VERSION}_linux_amd64" "linux/arm64=$work/cloister_${VERSION}_linux_arm64"
echo "$image"
