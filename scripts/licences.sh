#!/usr/bin/env bash
# Checks the licences, sources and known advisories of what polder is built from (deny.toml).
#
# Installs cargo-deny into the cache when it is not there; skips the advisories, loudly, when their database cannot be
# reached. A licence that deny.toml does not name always fails.
set -euo pipefail
cd "$(dirname "$0")/.."

VERSION=0.20.2
tools="${XDG_CACHE_HOME:-$HOME/.cache}/polder/tools"
say() { printf 'licences: %s\n' "$*" >&2; }

if ! command -v cargo-deny >/dev/null; then
  export PATH="$tools/bin:$PATH"
  if ! command -v cargo-deny >/dev/null; then
    say "building cargo-deny $VERSION into $tools (once, some minutes)"
    CARGO_TARGET_DIR="$tools/target" cargo install --quiet --locked --root "$tools" "cargo-deny@$VERSION"
    rm -rf "$tools/target"
  fi
fi

cargo deny --locked check licenses bans sources
if cargo deny --locked fetch db >/dev/null 2>&1; then
  cargo deny --locked check advisories
else
  say "SKIPPED: advisories, because their database (github.com/rustsec/advisory-db) cannot be reached from here"
fi
