"""An error is stored whatever it holds, and storing it again leaves it as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promin_postgres._error_record import decode_error, encode_error
from promin_postgres.workflow.storage import ErrorRecord


class _Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def _raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001
        return caught


def test_of_an_exception() -> None:
    record = ErrorRecord.of(_raised(KeyError("x")))
    assert (record.error_type, record.message) == ("KeyError", "'x'")
    assert record.traceback is not None
    assert record.traceback.startswith("Traceback (most recent call last):")
    assert record.traceback.endswith("KeyError: 'x'\n")
    assert "_raised" in record.traceback


def test_the_type_is_named_with_its_module() -> None:
    assert ErrorRecord.of(json.JSONDecodeError("m", "", 0)).error_type == "json.decoder.JSONDecodeError"


def test_the_cause_is_in_the_traceback() -> None:
    error = ValueError("effect")
    error.__cause__ = _raised(OSError("cause"))
    assert "cause" in str(ErrorRecord.of(error).traceback)


def test_one_that_cannot_say_what_it_is() -> None:
    record = ErrorRecord.of(_raised(_Mute()))
    assert record.message == "<str() of the error raised ValueError>"
    assert "_Mute" in record.error_type


@pytest.mark.parametrize(
    ("message", "stored"),
    [("a\x00b", r"a\x00b"), ("\ud83d\ude00", r"\ud83d\ude00"), ("ü🦉\n", "ü🦉\n"), ("", "")],
)
def test_what_postgresql_refuses_becomes_visible(message: str, stored: str) -> None:
    record = ErrorRecord.of(_raised(ValueError(message)))
    assert record.message == stored
    assert "\x00" not in str(record.traceback)


def test_a_long_text_loses_its_middle() -> None:
    record = ErrorRecord.of(_raised(ValueError("a" * 50_000 + "b" * 50_000)))
    assert record.message.startswith("aaa")
    assert record.message.endswith("bbb")
    assert "characters left out" in record.message
    assert len(record.message) <= 8_000
    assert len(str(record.traceback)) <= 64_000


def test_a_deep_recursion() -> None:
    def down() -> Any:
        return down()

    with pytest.raises(RecursionError) as caught:
        down()
    record = ErrorRecord.of(caught.value)
    assert record.error_type == "RecursionError"
    assert record.traceback is not None


@given(st.text(st.characters(), max_size=20), st.integers(0, 100_000), st.none() | st.text(st.characters()))
def test_any_record_is_storable_and_stays_as_it_is(text: str, length: int, trace: str | None) -> None:
    text = (text * (length // max(1, len(text)) + 1))[:length]
    once = ErrorRecord.of(ErrorRecord(error_type=text, message=text, traceback=trace))
    for part in (once.error_type, once.message, once.traceback or ""):
        part.encode()
        assert "\x00" not in part
    assert ErrorRecord.of(once) == once
    assert decode_error(encode_error(once)) == once
