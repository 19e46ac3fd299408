#!/bin/sh
# Checks the Python engine, the demo's data script and moto's server for tests: ruff, mypy, pytest. Arguments go to pytest (-m "not real_model").
# The tools live in an environment of their own, hash-locked, layered on the engine's environment by a .pth file.
# CLOISTER_REQUIRE_MODEL=1 makes a missing SmolLM2 a failure instead of a visible skip.
set -eu
cd "$(dirname "$0")/.."
root=$(go run ./cmd/cloister engine install)
lock=engine/requirements/dev.lock
key=$(cat "$lock" "$root/engine.json" | sha256sum | cut -c1-16)
dev=${XDG_CACHE_HOME:-$HOME/.cache}/cloister/engine-dev-$key
if [ ! -e "$dev/ready" ]; then
	rm -rf "$dev"
	"$root/venv/bin/python" -m venv "$dev"
	"$dev/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: -r "$lock"
	site=$("$dev/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	echo "$root/venv/lib/python3.11/site-packages" >"$site/engine.pth"
	touch "$dev/ready"
fi
cd engine
export PYTHONDONTWRITEBYTECODE=1 OMP_WAIT_POLICY=PASSIVE
data="../demo/prepare.py ../demo/test_prepare.py ../e2e/moto_aws.py ../bench/api/moto_server.py"
export RUFF_CACHE_DIR="$dev/ruff"
# shellcheck disable=SC2086 # several names
"$dev/bin/ruff" check --config pyproject.toml . $data
# shellcheck disable=SC2086
"$dev/bin/ruff" format --config pyproject.toml --check . $data
"$dev/bin/mypy" --cache-dir "$dev/mypy"
"$dev/bin/mypy" --cache-dir "$dev/mypy" ../demo/prepare.py
"$dev/bin/python" -m pytest -o cache_dir="$dev/pytest" ../demo/test_prepare.py
exec "$dev/bin/python" -m pytest -o cache_dir="$dev/pytest" "$@"
