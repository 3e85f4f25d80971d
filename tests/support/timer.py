"""A timer that waits for the test: `ms` is what it was started with, None while it is not."""


class Timer:
    def __init__(self, callback):
        self.callback, self.ms = callback, None

    def start(self, ms):
        self.ms = ms

    def stop(self):
        self.ms = None

    def fire(self):
        self.ms = None
        self.callback()
