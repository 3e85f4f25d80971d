"""A service that prints a line every second: its number, and the milliseconds since start."""


def start(machine):
    count = 0

    def tick():
        nonlocal count
        count += 1
        print("tick", count, "at", machine.uptime_ms(), "ms")
        timer.start(1000)

    timer = machine.timers.timer(tick)
    timer.start(1000)
