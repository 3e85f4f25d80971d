"""What `time.time()` says is what the machine's clock says, once there is one."""

import time

from runtime.clock import clock_of


def start(machine):
    before = time.time()
    clock = clock_of(machine)
    print("rtc", clock.seconds() - before in (0, 1))
    clock.step(3_600_000_000)
    print("stepped", time.time() - before in (3600, 3601))
    print("nanoseconds", time.time_ns() // 1_000_000_000 - before in (3600, 3601))
    clock.slew(1_000_000)
    time.sleep(2)
    print("slept", time.time() - before in (3602, 3603))
    machine.stop()
