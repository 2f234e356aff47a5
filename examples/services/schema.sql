CREATE TABLE stock (sku text PRIMARY KEY, left_over integer NOT NULL CHECK (left_over >= 0));
CREATE TABLE orders (id bigserial PRIMARY KEY, sku text NOT NULL REFERENCES stock, amount integer NOT NULL);
INSERT INTO stock VALUES ('apple', 10), ('pear', 1);
