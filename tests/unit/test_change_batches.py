"""How many rows of a table are fetched at once, when nothing is known of their size before they are here."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from promin_postgres.changes._settings import MAX_BYTES, first_count, next_count


@given(st.integers(1, 100_000), st.integers(1, 1 << 30))
def test_rows_of_one_size_soon_fill_a_batch_and_no_more(batch_size, size):
    count = first_count(batch_size)
    for _ in range(10):
        assert 1 <= count <= batch_size
        count = next_count(count, count * size, batch_size)
    assert count == max(1, min(batch_size, MAX_BYTES // size))


def test_an_empty_batch_is_no_trouble():
    assert next_count(100, 0, 500) == 400
