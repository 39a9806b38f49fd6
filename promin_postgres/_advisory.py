"""Names as advisory lock keys."""

from __future__ import annotations

from hashlib import blake2b


def advisory_key(*parts: str) -> int:
    """A signed 64-bit key for a name in several parts. Two names share one with a chance of 1 in 2**64."""
    digest = blake2b(digest_size=8)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)  # the length keeps ("a", "bc") and ("ab", "c") apart
    return int.from_bytes(digest.digest(), "big", signed=True)
