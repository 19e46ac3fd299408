#!/bin/sh
# Prints the path of versitygw, the yardstick of bench-s3, built once from the Go module proxy into the cache.
# When it cannot be had it says why on standard error and prints nothing.
set -eu
version=v1.8.0
dir=${XDG_CACHE_HOME:-$HOME/.cache}/cloister/bench/versitygw-$version
if [ ! -x "$dir/versitygw" ]; then
	echo "bench: building versitygw $version (once)" >&2
	(cd / && GOBIN="$dir" CGO_ENABLED=0 go install "github.com/versity/versitygw/cmd/versitygw@$version") >&2 || {
		echo "bench: versitygw cannot be built: the comparison is left out" >&2
		exit 0
	}
fi
echo "$dir/versitygw"
