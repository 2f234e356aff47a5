# Prints the results in the Test Anything Protocol.
set -u
. ./shop.sh
count=0
failures=0
is() { # is WHAT EXPECTED FOUND
  count=$((count + 1))
  if [ "$2" = "$3" ]; then echo "ok $count - $1"; else
    echo "not ok $count - $1 (expected '$2', found '$3')"
    failures=$((failures + 1))
  fi
}

is 'the stock is what the schema says' 10 "$(left apple)"
is 'it is in the cache now' 10 "$(redis-cli -u "$REDIS" GET left:apple)"
is 'the first order has the number 1' 1 "$(order apple 3)"
is 'an order empties the cache' '' "$(redis-cli -u "$REDIS" GET left:apple)"
is 'and takes from the stock' 7 "$(left apple)"
is 'more than there is cannot be ordered' failed "$(order pear 2 2>/dev/null || echo failed)"
is 'and changes nothing' 1 "$(left pear)"

for i in 1 2 3 4 5 6 7 8 9; do order apple 1 >/dev/null 2>&1 & done
wait
is 'nine at once get no more than the seven that there are' 0 "$(left apple)"
is 'and each that got one has an order' 8 "$(psql "$DATABASE" -Atc "SELECT count(*) FROM orders")"

echo "1..$count"
[ "$failures" = 0 ]
