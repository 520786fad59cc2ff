#!/bin/sh
# Builds an OpenTelemetry Collector from a builder manifest with the ordinary Go tools, once per manifest.
#
#   test/peers/build-collector.sh test/peers/collector-0.165.0.yaml
#
# The path of the binary is the only line on stdout; progress goes to stderr. The first build takes a few minutes,
# later calls return at once: binaries are kept in the user's cache, under the hash of the manifest, so an edited
# manifest is another binary. Several callers at once wait for one build.
set -eu

fail() { echo "build-collector: $*" >&2; exit 1; }

[ $# -eq 1 ] && [ -f "$1" ] || fail "usage: $0 MANIFEST.yaml (an OpenTelemetry Collector builder manifest)"
command -v go >/dev/null || fail "the Go toolchain is missing; install Go 1.25 or newer"
manifest=$1

# The manifests here keep one key a line, so that sed reads what a YAML parser would.
name=$(sed -n 's/^  name: *//p' "$manifest")
version=$(sed -n 's/^  version: *//p' "$manifest")
[ -n "$name" ] && [ -n "$version" ] || fail "$manifest: expected dist.name and dist.version, each on a line of its own"

hash=$(sha256sum "$manifest" | cut -c 1-12)
peers=${XDG_CACHE_HOME:-$HOME/.cache}/signalbox/peers
home=$peers/$name-$version-$hash
binary=$home/$name
[ -x "$binary" ] && { echo "$binary"; exit 0; }

mkdir -p "$peers"
exec 9>"$home.lock"
flock 9
# Another caller may have finished the same build while this one waited.
[ -x "$binary" ] && { echo "$binary"; exit 0; }

work=$home.work
rm -rf "$work"
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT
cp "$manifest" "$work/builder.yaml"
echo "build-collector: building $name $version into $home (a few minutes, once)" >&2
(
  cd "$work"
  GOBIN="$work/bin" go install "go.opentelemetry.io/collector/cmd/builder@v$version"
  CGO_ENABLED=0 GOFLAGS="-buildvcs=false -mod=mod" "$work/bin/builder" --config builder.yaml
) >"$home.log" 2>&1 || { tail -n 30 "$home.log" >&2; fail "the build failed; the whole log is $home.log"; }

# Renamed as a whole at the end: a folder that exists holds a binary that was built to the end.
mkdir -p "$work/result"
mv "$work/dist/$name" "$work/result/$name"
cp "$manifest" "$work/result/builder.yaml"
rm -rf "$home"
mv "$work/result" "$home"
echo "$binary"
