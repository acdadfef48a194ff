"""Public ids: a prefix that tells what it names, then 26 characters that sort by time.

Crockford base32 of 48 bits of Unix milliseconds and 80 random bits (the layout of a ULID,
https://github.com/ulid/spec), in lower case. Ids are the primary keys, so that what a client, a log
line, Flower and a table show is the same text.
"""

from __future__ import annotations

import secrets
import time

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 26
RANDOM_BITS = 80


def new_id(prefix: str) -> str:
    """A new id such as 'an_01kaj3c0dpw8w0z3f6s9q2xk7v'."""
    number = (time.time_ns() // 1_000_000) << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
    return f"{prefix}_" + "".join(ALPHABET[number >> shift & 31] for shift in range(5 * (LENGTH - 1), -1, -5))
