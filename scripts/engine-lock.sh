#!/bin/sh
# Makes the engine's locks from their inputs. Pins that stand are kept; --upgrade moves them.
# Needs uv (any recent version) on PATH or in $UV.
set -eu
cd "$(dirname "$0")/../engine/requirements"
uv=${UV:-uv}
for lock in engine import dev bench; do touch "$lock.lock"; done
compile() { # OUTPUT INPUT... : one lock with the hashes of all files of each version, and no hosts
	out=$1
	shift
	"$uv" pip compile --quiet --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
		--python-version 3.11 --python-platform x86_64-manylinux_2_28 "$@" -o "$out"
}
# What the second lock has beyond the first.
without() { sed -n 's/^\([a-z0-9.-]*\)==.*/--no-emit-package \1/p' "$1"; }

compile engine.lock engine.in link.in --excludes cpu-excludes.txt ${1:+"$1"}
# shellcheck disable=SC2046 # one word for each package
compile import.lock import.in -c engine.lock $(without engine.lock) ${1:+"$1"}
compile dev.lock dev.in ${1:+"$1"}
# shellcheck disable=SC2046
compile bench.lock bench.in engine.in link.in --excludes cpu-excludes.txt -c engine.lock $(without engine.lock) ${1:+"$1"}

# The other architecture resolves to the same versions, or one lock cannot serve both.
other=$(mktemp)
trap 'rm -f "$other"' EXIT
"$uv" pip compile --quiet --no-header --no-annotate --no-emit-index-url --no-emit-find-links --python-version 3.11 \
	--python-platform aarch64-manylinux_2_28 engine.in link.in --excludes cpu-excludes.txt -c engine.lock -o "$other"
sed -n 's/^\([a-z0-9.-]*==[^ ]*\).*/\1/p' engine.lock | cmp - "$other" || {
	echo "engine-lock: arm64 resolves to other packages than x86-64" >&2
	exit 1
}
