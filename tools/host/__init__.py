"""A service as a Linux process: on the sockets of the kernel, or on our stack over a TAP device.

    launch.py        ./importos run --host | --tap: what goes in front, and the interpreter
    interpreters.py  CPython, and MicroPython for Linux, which is built here
    namespace.py     a TAP device in a network namespace, and ports of the host that lead there
    main.py          what the interpreter starts: the machine, the service, the loop
    machine.py       the machine: clock, log and settings of a process; `wait` polls
    tap.py           a TAP device as a network interface
    kernel/          net.inet, net.udp, net.tcp ... with the same API on kernel sockets
    cpython/, micropython/   the module `hostio`: the system calls of all this

From main.py on, every file runs on both interpreters.
"""
