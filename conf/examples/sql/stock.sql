-- The table of order.py and order.php, and the role that they connect as, which may publish.
CREATE TABLE stock (product text PRIMARY KEY, quantity int NOT NULL CHECK (quantity >= 0));
INSERT INTO stock VALUES ('tea', 10), ('cups', 4);
CREATE ROLE shop LOGIN;
GRANT SELECT, UPDATE ON stock TO shop;
GRANT holdfast_publisher TO shop;
