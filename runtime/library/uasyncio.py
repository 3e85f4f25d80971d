"""The name that `asyncio` had in MicroPython of old: its parts are still loaded when needed."""


def __getattr__(name):
    import asyncio

    return getattr(asyncio, name)
