#!/bin/sh
# Trains the demo's mails on SmolLM2 with the engine and with stock TRL, in pairs, and prints the ratio of tokens per
# CPU-second; see engine/bench/compare_trl.py. Arguments go there. Needs the installed base model.
set -eu
cd "$(dirname "$0")/.."
if [ "$(id -u)" -eq 0 ]; then home=/var/lib/cloister; else home=${XDG_DATA_HOME:-$HOME/.local/share}/cloister; fi
base=$home/models/huggingface.smollm2-135m-v1_0
[ -d "$base" ] || {
	echo "bench: the base model is missing: run 'cloister models add smollm2'" >&2
	exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 demo/prepare.py --out "$work" --cache "${XDG_CACHE_HOME:-$HOME/.cache}/cloister/demo" >&2
scripts/engine-bench.sh --base "$base" --data "$work/train.jsonl" "$@"
