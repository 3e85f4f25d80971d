"""Dates: the library of CPython is the oracle."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from net.timestamp import rfc3339


@given(st.integers(-(10**16), 10**17))
def test_rfc3339_is_what_datetime_writes(us):
    seconds, rest = divmod(us, 1_000_000)
    expected = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
    assert rfc3339(us) == expected.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
