"""A time as people and protocols write it: RFC 3339, in UTC.  Proleptic Gregorian calendar."""

from micropython import const

MILLION = const(1_000_000)
DAY = const(86_400)


def civil(days):
    """Year, month and day of a number of days since 1970."""
    # Years that begin with March, so that the day that some lack is the last; 400 have 146,097.
    days += 719_468
    era = days // 146_097
    day = days % 146_097
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5
    month = month + 3 if month < 10 else month - 9
    return year + 400 * era + (1 if month < 3 else 0), month, day + 1


def rfc3339(us):
    """Microseconds since 1970 as 2026-01-01T00:00:00.000000Z."""
    seconds = us // MILLION
    year, month, day = civil(seconds // DAY)
    rest = seconds % DAY
    return (
        f"{year:04}-{month:02}-{day:02}T"
        f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}.{us % MILLION:06}Z"
    )
