#!/usr/bin/env bash
# Runs every test. Rust is all that must be there; what else is missing is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

# SQLite is compiled in, which takes a C compiler.
if ! command -v cc >/dev/null; then
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
  "${as_root[@]}" apt-get update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --no-install-recommends gcc libc6-dev
fi

cargo test --locked "$@"
