# What needs no database: the functions are there, and the shell has nothing against them.
set -eu
. ./shop.sh
for function in order left; do
  command -v "$function" >/dev/null
  echo "ok - $function"
done
