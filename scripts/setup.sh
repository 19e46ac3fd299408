#!/bin/sh
# Installs what the demo and the tests need and is missing: system packages (as root, by apt-get), the clients
# in an environment of their own, the program, its engine and its base models. It prints nothing that is done
# already. Prints the folder with the clients as its last line, on standard output; the rest goes to standard error.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "setup: $*" >&2; }

# need PACKAGE TEST...: a Debian package, if the test fails.
missing=
need() {
	package=$1
	shift
	"$@" >/dev/null 2>&1 || missing="$missing $package"
}
need python3 test -x /usr/bin/python3
need python3-venv /usr/bin/python3 -c 'import ensurepip'
need ca-certificates test -s /etc/ssl/certs/ca-certificates.crt
need npm command -v npm
need make command -v make
need git command -v git
need chromium command -v chromium
if [ -n "$missing" ]; then
	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
		say "install these packages of your system and try again:$missing"
		exit 1
	fi
	say "installing$missing"
	apt-get update -qq >&2
	# shellcheck disable=SC2086 # one word for each package
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
fi
command -v go >/dev/null || {
	say "install Go $(sed -n 's/^go //p' go.mod) or newer (https://go.dev/dl) and try again"
	exit 1
}

# As root the server gives that up for a user of its own.
if [ "$(id -u)" -eq 0 ] && ! id cloister >/dev/null 2>&1; then
	say "making the user cloister"
	useradd --system --user-group --no-create-home --shell /usr/sbin/nologin cloister
fi

say "building"
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(git describe --always --dirty 2>/dev/null || echo devel)" -o bin/cloister ./cmd/cloister >&2
bin/cloister engine status >/dev/null 2>&1 || say "installing the training engine (2.6 GB to download, once)"
bin/cloister engine install >&2
for model in "smollm2 huggingface.smollm2-135m-v1:0" "tiny cloister.tiny-v1:0"; do
	# shellcheck disable=SC2086 # two words
	set -- $model
	bin/cloister models show "$2" >/dev/null 2>&1 || {
		say "adding the base model $2"
		bin/cloister models add "$1" >&2
	}
done

# The clients, and moto for the auditor: hash-locked, keyed by the lock.
clients=${XDG_CACHE_HOME:-$HOME/.cache}/cloister/clients-$(sha256sum e2e/clients.lock | cut -c1-16)
if [ ! -e "$clients/ready" ]; then
	say "installing the aws CLI and boto3"
	rm -rf "$clients"
	/usr/bin/python3 -m venv "$clients"
	"$clients/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: -r e2e/clients.lock >&2
	touch "$clients/ready"
fi
bench/moto.sh >/dev/null
printf '%s\n' "$clients/bin"
