#!/bin/sh
# Fetches the source package of GNU hello into source/, from this machine's apt sources with deb-src for deb. apt
# checks the archive's signature and every file's hash. Needs no root; the machine's own package lists stay as they are.
set -eu
cd -- "$(dirname -- "$0")"

fail() {
  echo "fetch.sh: $*" >&2
  exit 1
}

command -v apt-get >/dev/null || fail "there is no apt-get here: fetch hello's .dsc and the files that it names into source/"
list= parts=
eval "$(apt-config shell list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir -p "$scratch/sources" "$scratch/state/lists/partial" "$scratch/cache/archives/partial" "$scratch/hello"

for file in "$list" "$parts"/*.list; do
  [ ! -f "$file" ] || sed -En 's/^[[:space:]]*deb(-src)?[[:space:]]/deb-src /p' "$file"
done | sort -u >"$scratch/sources/all.list"
for file in "$parts"/*.sources; do
  [ ! -f "$file" ] || sed 's/^Types:.*/Types: deb-src/' "$file" >"$scratch/sources/${file##*/}"
done

apt() {
  # No change to user _apt, who could not write to the private scratch directory.
  apt-get -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$scratch/sources" \
    -o Dir::State="$scratch/state" -o Dir::Cache="$scratch/cache" -o APT::Sandbox::User=root "$@"
}

apt update || fail 'the lists of source packages cannot be fetched: see what apt says above'
(cd "$scratch/hello" && apt source --download-only hello) || fail 'apt has no source package hello that it trusts'

rm -rf source
mv "$scratch/hello" source
