#!/usr/bin/env bash
# Makes compare.png from the page that `make demo` writes; needs Chromium.
set -euo pipefail
cd "$(dirname "$0")/../.."
make demo
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync \
  --user-data-dir="$profile" --hide-scrollbars --window-size=1280,1292 --virtual-time-budget=10000 --screenshot="docs/images/compare.png" \
  "file://$PWD/demo/index.html"
