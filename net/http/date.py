"""The Date field, RFC 9110 section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT", and back.

A server that answers thousands of requests a second does not ask a calendar for each.  `Clock`
keeps the text and lets its digits run with the milliseconds of the machine; the calendar is asked
when an hour is full, and after a minute in which nobody wanted to know.
Law: `refresh` allocates nothing while the hour lasts.
"""

import time

import micropython
from micropython import const

DAYS = "MonTueWedThuFriSatSun"
MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
LENGTH = const(29)
MINUTES = const(20)  # where "49:37" begins
QUIET = const(60)
MASK = const(0x3FFFFFFF)


def text(t):
    """The text of a time as gmtime gives it."""
    day, month = DAYS[3 * t[6] : 3 * t[6] + 3], MONTHS[3 * t[1] - 3 : 3 * t[1]]
    return f"{day}, {t[2]:02} {month} {t[0]:04} {t[3]:02}:{t[4]:02}:{t[5]:02} GMT"


def order(stamp):
    """A string that sorts as the times do, of a date in the one form we write; "" of another."""
    if len(stamp) != LENGTH or stamp[-4:] != " GMT" or stamp[3:5] != ", ":
        return ""
    month = MONTHS.find(stamp[8:11])
    if month < 0 or month % 3:
        return ""
    return f"{stamp[12:16]}{month // 3 + 10}{stamp[5:7]}{stamp[17:25]}"


class Clock:
    """`ticks()`: milliseconds modulo 2^30.  `text`: the date; `stamp`: another one has another."""

    def __init__(self, ticks, gmtime=time.gmtime):
        self.ticks = ticks
        self.gmtime = gmtime
        self.text = bytearray(LENGTH)
        self.state = bytearray(8)  # u32: the time of `text` in ticks; u32: the stamp
        self.ask()

    def ask(self):
        """What the calendar says."""
        self.text[:] = text(self.gmtime()).encode()
        now = self.ticks()
        for i in range(4):
            self.state[i] = now >> 8 * i & 0xFF

    @micropython.viper
    def refresh(self) -> int:
        """Let `text` be the time; returns its stamp."""
        state = ptr32(self.state)
        past = (int(self.ticks()) - state[0]) & MASK
        if past < 1000:
            return state[1]
        stamp = (state[1] + 1) & MASK
        state[1] = stamp
        if past >= QUIET * 1000:
            self.ask()
            return stamp
        digits = ptr8(self.text)
        while past >= 1000:
            past -= 1000
            state[0] = (state[0] + 1000) & MASK
            at = int(MINUTES) + 4
            digits[at] += 1
            if digits[at] > 57:
                digits[at] = 48
                digits[at - 1] += 1
                if digits[at - 1] > 53:
                    digits[at - 1] = 48
                    digits[at - 3] += 1
                    if digits[at - 3] > 57:
                        digits[at - 3] = 48
                        digits[at - 4] += 1
                        if digits[at - 4] > 53:
                            self.ask()
                            return stamp
        return stamp
