#!/bin/sh
# Prints the path of Prowler, the yardstick of bench-peers: hash-locked, made once in the cache (2.3 GB, about 10
# minutes). prowler.lock comes from prowler.in as moto.lock does from moto.in; some of its packages have no wheels.
set -eu
cd "$(dirname "$0")"
dir=${XDG_CACHE_HOME:-$HOME/.cache}/cloister/bench/prowler-$(sha256sum prowler.lock | cut -c1-16)
if [ ! -e "$dir/ready" ]; then
	echo "bench: installing Prowler (once, 2.3 GB)" >&2
	rm -rf "$dir"
	{
		/usr/bin/python3 -m venv "$dir" &&
			"$dir/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps --require-hashes -r prowler.lock
	} >&2 || {
		echo "bench: Prowler cannot be installed: the comparison is left out" >&2
		exit 0
	}
	touch "$dir/ready"
fi
echo "$dir/bin/prowler"
