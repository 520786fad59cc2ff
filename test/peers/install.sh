#!/usr/bin/env bash
# Brings the real peers that the end-to-end tests use into the user's cache, each once per version:
# the Collector (built from its Go modules), once with core components and once with contrib's processors, and a virtual environment with the official Python SDK.
# `npm test` uses what it finds there and lists what it skipped; .ci/run calls this first, so that nothing is skipped.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

collector=$(sh "$here/build-collector.sh" "$here/collector-0.165.0.yaml")
echo "$collector"
# test/peers/config reads the configurations of the Collector's own tests from Go's module cache, where the build left them;
# this brings them back where the cache was cleared since.
(cd / && go version -m "$collector" | awk '$1 == "dep" && $2 ~ /^go\.opentelemetry\.io\/collector/ { print $2 "@" $3 }' | xargs go mod download)
sh "$here/build-collector.sh" "$here/collector-contrib-0.149.0.yaml"

requirements=$here/../../examples/python/requirements.txt
venv=${XDG_CACHE_HOME:-$HOME/.cache}/signalbox/peers/python-$(sha256sum "$requirements" | cut -c 1-12)
if [ ! -x "$venv/bin/python" ]; then
  rm -rf "$venv.work"
  python3 -m venv "$venv.work"
  "$venv.work/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
  # A venv's scripts carry its path, its interpreter does not: only the interpreter is used from here.
  mv "$venv.work" "$venv"
fi
echo "$venv/bin/python"

# promtool reads the gateway's own metrics as Prometheus would. Taken out of Debian's package without installing it, which
# would start a server; only .ci/run asks for it, as root on a machine that has apt.
promtool=${XDG_CACHE_HOME:-$HOME/.cache}/signalbox/peers/promtool/promtool
if [ ! -x "$promtool" ] && ! command -v promtool >/dev/null && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  work=$(mktemp -d)
  (
    cd "$work"
    apt-get update -qq
    apt-get download -qq prometheus
    dpkg-deb -x prometheus_*.deb unpacked
  ) >/dev/null
  mkdir -p "$(dirname "$promtool")"
  mv "$work/unpacked/usr/bin/promtool" "$promtool"
  rm -rf "$work"
fi
