# A shop, as small as can be: stock and orders in PostgreSQL, what is asked for often in Redis.

# order SKU AMOUNT: prints the number of the order; fails when there is not enough.
order() {
  psql "$DATABASE" --quiet --tuples-only --no-align -v ON_ERROR_STOP=1 -v sku="$1" -v amount="$2" <<'SQL' || return 1
BEGIN;
UPDATE stock SET left_over = left_over - :amount WHERE sku = :'sku';
INSERT INTO orders (sku, amount) VALUES (:'sku', :amount) RETURNING id;
COMMIT;
SQL
  redis-cli -u "$REDIS" DEL "left:$1" >/dev/null
}

# left SKU: prints how many there are, from the cache where it has them for a minute at most.
left() {
  count=$(redis-cli -u "$REDIS" GET "left:$1")
  if [ -z "$count" ]; then
    count=$(psql "$DATABASE" --tuples-only --no-align -v sku="$1" <<'SQL'
SELECT left_over FROM stock WHERE sku = :'sku';
SQL
    )
    redis-cli -u "$REDIS" SET "left:$1" "$count" EX 60 >/dev/null
  fi
  echo "$count"
}
