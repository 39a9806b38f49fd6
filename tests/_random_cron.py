"""Random cron expressions, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st


def field(low, high):
    number = st.integers(low, high)
    span = st.tuples(number, number).map(sorted).map(lambda pair: f"{pair[0]}-{pair[1]}")
    step = st.tuples(st.one_of(st.just("*"), span), st.integers(1, high)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    part = st.one_of(number.map(str), span, step)
    return st.one_of(st.just("*"), st.lists(part, min_size=1, max_size=3).map(",".join))


FIVE_FIELDS = st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6)).map(" ".join)
SECONDS = field(0, 59)
EXPRESSIONS = st.one_of(FIVE_FIELDS, st.tuples(SECONDS, FIVE_FIELDS).map(" ".join))
