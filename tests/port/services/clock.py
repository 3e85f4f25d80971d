"""A service that prints a line every second."""


def start(machine):
    count = 0

    def tick():
        nonlocal count
        count += 1
        print("tick", count)
        timer.start(1000)

    timer = machine.timers.timer(tick)
    timer.start(1000)
