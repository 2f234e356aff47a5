#!/bin/sh
# Compares what ./hello prints with what it should print.
status=0

expect() {
  wanted=$1
  shift
  if [ "$("$@")" = "$wanted" ]; then
    echo "ok: $*"
  else
    echo "FAILED: $*: wanted '$wanted', got '$("$@")'"
    status=1
  fi
}

expect 'Hello, world!' ./hello
expect 'Hello, Ada!' ./hello Ada
expect 'Hello, Ada!
Hello, Grace!' ./hello Ada Grace
exit $status
