#!/usr/bin/env bash
# Installs what `figures peers` compares with: install.sh DIR
# Debian's belenios-tool, Flower and red-dwarf from PyPI, and a program around crates of the Rust registry.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
into=${1:?where to install to: install.sh DIR}
mkdir -p "$into"
into=$(cd "$into" && pwd)

if ! command -v belenios-tool >/dev/null; then
    apt-get update -qq
    apt-get install -qq -y belenios-tool
fi
[ -x "$into/venv/bin/python" ] || python3 -m venv "$into/venv"
"$into/venv/bin/pip" install --quiet -r "$here/requirements.txt"
cargo build --release --quiet --manifest-path "$here/rust/Cargo.toml" --target-dir "$into/target"
echo "$into"
