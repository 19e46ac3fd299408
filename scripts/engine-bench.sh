#!/bin/sh
# Training throughput against stock TRL; see engine/bench/compare_trl.py for the arguments.
# TRL lives in an environment of its own, hash-locked, layered on the engine's environment by a .pth file.
set -eu
cd "$(dirname "$0")/.."
root=$(go run ./cmd/cloister engine install)
lock=engine/requirements/bench.lock
key=$(cat "$lock" "$root/engine.json" | sha256sum | cut -c1-16)
bench=${XDG_CACHE_HOME:-$HOME/.cache}/cloister/engine-bench-$key
if [ ! -e "$bench/ready" ]; then
	rm -rf "$bench"
	"$root/venv/bin/python" -m venv "$bench"
	"$bench/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: -r "$lock"
	site=$("$bench/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	echo "$root/venv/lib/python3.11/site-packages" >"$site/engine.pth"
	touch "$bench/ready"
fi
export PYTHONDONTWRITEBYTECODE=1 OMP_WAIT_POLICY=PASSIVE PYTHONPATH="$PWD/engine"
exec "$bench/bin/python" engine/bench/compare_trl.py "$@"
