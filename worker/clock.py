"""The one clock for time that passes on this machine: deadlines and time-outs are moments on it."""

import time

# CLOCK_MONOTONIC stands still while the machine is suspended, and a deadline must not.
_CLOCK_ID: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def clock() -> float:
    """Seconds since some fixed moment; never steps back, and counts suspended time where the system can.

    Moments of two machines, or of two boots of one, cannot be compared.
    """
    return time.monotonic() if _CLOCK_ID is None else time.clock_gettime(_CLOCK_ID)
