#!/usr/bin/env bash
# Holds the binaries of make dist to what is said of them: a second build in another folder gives the same bytes, the
# checksums are right, and the same recording gives the same report natively, on arm64 (QEMU) and on Windows (Wine).
# Darwin's is only type-checked. It installs what is missing as root, by apt-get. FRESH=1 builds the second time without
# Go's build cache.
set -euo pipefail
cd "$(dirname "$0")/.."
start=$SECONDS
say() { echo "dist-check: $* ($((SECONDS - start)) s)"; }
fail() {
	echo "dist-check: $*" >&2
	exit 1
}
[ "$(uname -sm)" = "Linux x86_64" ] || fail "this runs linux/amd64 natively, and here is $(uname -sm)"

missing=
command -v qemu-aarch64-static >/dev/null || missing="$missing qemu-user-static"
wine=/usr/lib/wine/wine64 # the wrapper in PATH wants the 32-bit Wine too
[ -x "$wine" ] || wine=$(command -v wine64 || command -v wine) || missing="$missing wine64"
if [ -n "$missing" ]; then
	[ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || fail "install these packages of your system and try again:$missing"
	say "installing$missing"
	apt-get update -qq
	# shellcheck disable=SC2086 # one word for each package
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
	[ -x "$wine" ] || wine=$(command -v wine64 || command -v wine)
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
VERSION=$(git describe --always --dirty 2>/dev/null || echo devel)
export VERSION
# Both builds are of copies: the tree of today may be another in a minute.
mkdir "$work/one" "$work/two"
git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from - --ignore-failed-read --file "$work/tree.tar" 2>/dev/null
for copy in one two; do tar --extract --file "$work/tree.tar" --directory "$work/$copy"; done
DIST=$work/dist "$work/one/scripts/dist.sh" linux/amd64 linux/arm64 windows/amd64
(cd "$work/dist" && sha256sum --check --quiet SHA256SUMS) || fail "the checksums are not those of the files"
for sbom in "$work"/dist/*.cdx.json; do
	python3 -c 'import json, sys; assert len(json.load(open(sys.argv[1]))["components"]) > 10' "$sbom" || fail "$sbom is no SBOM"
done
say "built three"

cache=$(go env GOCACHE)
[ -z "${FRESH:-}" ] || cache=$work/cache
GOCACHE=$cache DIST=$work/again "$work/two/scripts/dist.sh" linux/amd64
for again in "$work"/again/cloister_*; do
	cmp "$again" "$work/dist/${again##*/}" || fail "the same source gave other bytes in another folder"
done
say "built one again"

cd "$work/one"
for os in darwin windows; do
	CGO_ENABLED=0 GOFLAGS='' GOOS=$os GOARCH=$([ $os = darwin ] && echo arm64 || echo amd64) go vet -trimpath ./cmd/cloister
done
say "vetted darwin and windows"

# Wine's folder is kept in the cache. Wine before 9.0 lacks a library that Go needs.
export WINEPREFIX=${XDG_CACHE_HOME:-$HOME/.cache}/cloister/wine WINEDEBUG=-all WINEDLLOVERRIDES=mscoree,mshtml=
library=$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll
if [ ! -e "$library" ]; then
	mkdir -p "${WINEPREFIX%/*}"
	"$wine" wineboot --init >/dev/null 2>&1 || true # it misses the 32-bit half
	[ -e "$library" ] || go run ./scripts/winedll "$library"
	say "made Wine's folder"
fi

native() { "$work/dist/cloister_${VERSION}_linux_amd64" "$@"; }
arm64() { qemu-aarch64-static "$work/dist/cloister_${VERSION}_linux_arm64" "$@"; }
windows() { "$wine" "$work/dist/cloister_${VERSION}_windows_amd64.exe" "$@"; }
for system in native arm64 windows; do
	mkdir "$work/$system"
	$system version >"$work/$system/version" || fail "$system: cloister version failed"
	$system rules list >"$work/$system/rules" || fail "$system: cloister rules list failed"
	for format in json html sarif; do
		(cd "$work/$system" && $system audit --replay "$work/one/cmd/cloister/testdata/recording" --quiet --report "$format=report.$format") \
			>"$work/$system/text" || fail "$system: cloister audit --replay failed"
	done
	diff -r "$work/native" "$work/$system" >/dev/null || fail "$system: not the output of linux/amd64: $(diff -rq "$work/native" "$work/$system")"
done
grep -q "^cloister $VERSION " "$work/native/version" || fail "cloister version does not say $VERSION"
for command in serve env doctor engine models jobs data operations; do
	if said=$(windows "$command" --data x 2>&1); then fail "windows: cloister $command did not fail"; fi
	grep -q "'cloister $command' needs Linux .* windows/amd64" <<<"$said" || fail "windows: cloister $command said: $said"
	windows "$command" --help >/dev/null || fail "windows: cloister $command --help failed"
done
say "ran them: the same version, rules and reports on linux/amd64, linux/arm64 and windows/amd64"

# The image: validated, the same twice, and its binary runs in its file system as its user.
cd "$work/one"
for name in image again.image; do
	go run ./scripts/image write "$work/$name" "$VERSION" "linux/amd64=$work/dist/cloister_${VERSION}_linux_amd64" \
		"linux/arm64=$work/dist/cloister_${VERSION}_linux_arm64"
done
cmp "$work/image" "$work/again.image" || fail "the same binaries gave another image"
go run ./scripts/image check "$work/image" linux/arm64 | tar --extract --to-stdout cloister | cmp - "$work/dist/cloister_${VERSION}_linux_arm64" ||
	fail "the image's arm64 binary is another"
mkdir "$work/root"
go run ./scripts/image check "$work/image" linux/amd64 | tar --extract --directory "$work/root"
as=(chroot --userspec=65532:65532)
[ "$(id -u)" -eq 0 ] || as=(unshare --map-root-user chroot)
chmod 755 "$work" # mktemp's is 0700
[ "$("${as[@]}" "$work/root" /cloister version)" = "$(cat "$work/native/version")" ] || fail "the image's binary does not run in its file system"
say "the image is valid, and its binary runs in it"
