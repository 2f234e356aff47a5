#!/bin/sh
# read-only-host.sh DIRECTORY COMMAND...: runs a command in a mount namespace of its own, in which nothing of
# the host can be written but DIRECTORY and /proc: it does as root what it is told by nobody in particular.
set -eu
if [ "${1-}" != --inside ]; then
  exec unshare --mount --propagation private sh -eu "$0" --inside "$@"
fi
shift
writable=$1
shift
mount --bind "$writable" "$writable"
while read -r _ point _; do
  case $point in
    "$writable" | /proc) ;;
    *) mount -o remount,bind,ro "$point" 2>/dev/null || true ;;
  esac
done </proc/self/mounts
exec "$@"
