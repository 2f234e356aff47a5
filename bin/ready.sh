# Sourced. ready ROOT LEVEL: is this clone set up, as far as can be seen without starting a process?
# A level that is set up has a stamp, newer than what it was made from, that lists the files it found or made.
# Levels: node (Node and the packages from npm), host (what builds need of the machine), service, test.
ready() {
  stamp=$1/.cofferdam-tools/$2.stamp
  [ -r "$stamp" ] && [ -x "$1/.cofferdam-tools/node/bin/node" ] || return 1
  case $2 in
    node) set -- "$1/package-lock.json" "$1/bin/bootstrap" ;;
    *) set -- "$1/bin/setup.ts" "$1/runtime/host.ts" "$1"/runtime/host/*.ts "$1"/runtime/crun/holder/*.[ch] ;;
  esac
  for source; do
    [ ! "$source" -nt "$stamp" ] || return 1
  done
  while read -r path; do
    [ -e "$path" ] || return 1
  done <"$stamp"
}
