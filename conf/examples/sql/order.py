"""Orders products, and publishes what is left of each: python3 order.py OPTIONS PRODUCT=COUNT...

OPTIONS are libpq's, as 'dbname=site user=shop'. Either everything is ordered and published, or nothing.
"""
import sys

import psycopg
from psycopg.types.json import Jsonb

options, *wanted = sys.argv[1:]
try:
    # Commits at the end of the block, or rolls back if it raises an exception.
    with psycopg.connect(options) as site:
        for product, count in (item.split("=") for item in wanted):
            row = site.execute(
                "UPDATE stock SET quantity = quantity - %s WHERE product = %s RETURNING quantity",
                [int(count), product],
            ).fetchone()
            if row is None:
                sys.exit(f"nothing is ordered: no product {product}")
            message = Jsonb({"product": product, "left": row[0]})
            site.execute("SELECT holdfast.publish('stock', %s, topic => %s)", [message, product])
except psycopg.Error as error:
    sys.exit(f"nothing is ordered: {error}")
