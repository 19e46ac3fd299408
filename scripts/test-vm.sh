#!/usr/bin/env bash
# The tests of sandboxes, cgroups and networks in a virtual machine with Debian's kernel, where cgroup v2 is: QEMU's software
# emulation, so it needs no /dev/kvm and runs in containers and CI. It installs what is missing as root, by apt-get.
# The kernel is unpacked into the cache, never installed on this host.
set -euo pipefail
cd "$(dirname "$0")/.."
start=$SECONDS
fail() {
	echo "test-vm: $*" >&2
	exit 1
}
[ "$(uname -m)" = x86_64 ] || fail "the test machine is x86-64, this host is $(uname -m): run it on one"
command -v apt-get >/dev/null || fail "this needs Debian or Ubuntu (apt-get): it boots Debian's kernel and takes Debian's Python into the machine"
if ! command -v qemu-system-x86_64 >/dev/null; then
	[ "$(id -u)" -eq 0 ] || fail "install qemu-system-x86 and try again"
	echo "test-vm: installing qemu-system-x86"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends qemu-system-x86 >/dev/null
fi
cache=${XDG_CACHE_HOME:-$HOME/.cache}/cloister/vm
# What networks need of the kernel, each after those that it needs.
modules="libcrc32c nfnetlink nf_defrag_ipv4 nf_defrag_ipv6 nf_conntrack nf_conntrack_netlink nf_conncount nf_tables nft_ct nft_limit nft_connlimit nft_objref veth"
if [ ! -s "$cache/vmlinuz" ] || [ ! -e "$cache/modules/veth.ko" ]; then
	if ! apt-cache show linux-image-cloud-amd64 >/dev/null 2>&1; then
		[ "$(id -u)" -eq 0 ] || fail "apt knows no linux-image-cloud-amd64: run 'apt-get update' as root"
		apt-get update -qq
	fi
	package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
	[ -n "$package" ] || fail "apt knows no linux-image-cloud-amd64: this needs Debian's package sources"
	echo "test-vm: fetching $package"
	rm -rf "$cache"
	mkdir -p "$cache/unpack"
	fetch() { (cd "$cache/unpack" && apt-get download -qq "$package" && dpkg -x ./*.deb .) >"$cache/log" 2>&1; }
	if ! fetch; then # the lists may be older than the archive
		[ "$(id -u)" -ne 0 ] || apt-get update -qq
		fetch || fail "cannot fetch $package: $(cat "$cache/log")"
	fi
	mkdir "$cache/modules"
	for module in $modules; do
		find "$cache/unpack/lib/modules" -name "$module.ko" -exec cp {} "$cache/modules" \;
		[ -s "$cache/modules/$module.ko" ] || fail "$package has no module $module"
	done
	mv "$cache"/unpack/boot/vmlinuz-* "$cache/vmlinuz"
	rm -rf "$cache/unpack"
fi
if ! dpkg -s python3.11-minimal >/dev/null 2>&1; then
	[ "$(id -u)" -eq 0 ] || fail "install python3.11-minimal and try again"
	echo "test-vm: installing python3.11-minimal"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3.11-minimal >/dev/null ||
		fail "the system's packages have no Python 3.11 (Debian 12 has): the machine needs it, as the engine does"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CGO_ENABLED=0
go build -trimpath -ldflags "-s -w" -o "$work/init" ./vmtest/init
files=()
for suite in executor/local netd netns; do
	name=$(basename "$suite").test
	go test -c -trimpath -ldflags "-s -w" -o "$work/$name" "./internal/$suite"
	files+=("/$name=$work/$name")
done
number=10
for module in $modules; do
	files+=("/modules/$number-$module.ko=$cache/modules/$module.ko")
	number=$((number + 1))
done
# Debian's smallest Python, its byte code and its libraries: the suite runs it in the sandbox.
python() {
	dpkg -L python3.11-minimal libpython3.11-minimal | grep -E '^/usr/(bin/python3.11|lib/python3.11(/|$))' | grep -v -e '/lib2to3' -e '/doc'
	find /usr/lib/python3.11/{,collections/,encodings/,importlib/}__pycache__ -type f 2>/dev/null || true # only saves time
	ldd /usr/bin/python3.11 | grep -oE '/[^ ]+' | while read -r lib; do
		readlink -f "$lib"
		real=/usr${lib#/usr}
		[ "$real" = "$(readlink -f "$lib")" ] || echo "$real"
	done
}
ln -s python3.11 "$work/python3"
for name in bin lib lib64; do ln -s "usr/$name" "$work/$name"; done
python | go run ./vmtest/initrd -o "$work/initrd" /init="$work/init" "${files[@]}" /usr/bin/python3="$work/python3" \
	/bin="$work/bin" /lib="$work/lib" /lib64="$work/lib64" || fail "cannot write the initial RAM disk"
echo "test-vm: machine made in $((SECONDS - start)) s ($(du -h "$work/initrd" | cut -f1) initial RAM disk)"
timeout 240 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 2048 -nodefaults -no-reboot -display none -serial file:"$work/console" \
	-kernel "$cache/vmlinuz" -initrd "$work/initrd" -append "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on" || true
tr -d '\r' <"$work/console" >"$work/log"
cat "$work/log"
echo "test-vm: $((SECONDS - start)) s"
grep -q '^VMTEST PASS$' "$work/log" || fail "the tests failed in the machine, or it did not get to its end in 240 s; see above"
