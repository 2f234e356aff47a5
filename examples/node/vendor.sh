#!/bin/sh
# Fetches qs and what its tests need into vendor/node_modules.tar; npm checks each package against package-lock.json.
# One archive, not a directory: git ignores directories called node_modules or dist here, and what git ignores stays
# out of a build.
set -eu
cd -- "$(dirname -- "$0")"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cp package.json package-lock.json "$scratch"
(cd "$scratch" && npm ci --ignore-scripts --no-bin-links --no-audit --no-fund --no-update-notifier)
tar -cf "$scratch/node_modules.tar" --owner=0 --group=0 --numeric-owner -C "$scratch" node_modules
mkdir -p vendor
mv "$scratch/node_modules.tar" vendor/
