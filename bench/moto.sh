#!/bin/sh
# Prints the path of a Python with moto's server, the yardstick of bench-api and an AWS for e2e: hash-locked, made once
# in the cache.
# moto.lock comes from moto.in: uv pip compile --generate-hashes --no-header --no-annotate --no-emit-index-url
# --no-emit-find-links --python-version 3.11 moto.in -o moto.lock
set -eu
cd "$(dirname "$0")"
dir=${XDG_CACHE_HOME:-$HOME/.cache}/cloister/bench/moto-$(sha256sum moto.lock | cut -c1-16)
if [ ! -e "$dir/ready" ]; then
	echo "bench: installing moto (once)" >&2
	rm -rf "$dir"
	{
		/usr/bin/python3 -m venv "$dir" &&
			"$dir/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: -r moto.lock
	} >&2 || {
		echo "bench: moto cannot be installed: what needs it is left out" >&2
		exit 0
	}
	touch "$dir/ready"
fi
echo "$dir/bin/python"
