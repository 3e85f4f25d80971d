"""How each number of the benchmark comes about. docs/benchmarks.md explains why this way.

A measure returns {row name: {"value": number, ...}} for one or several rows. The machines are those
of the tests: TCG, one processor, `pc`, TAP in a network namespace, a permanent neighbour entry.
"""

import resource
import statistics
import tempfile
import time
from pathlib import Path

from tests.support import disk_cost, images, load, stub, web
from tests.support.bulk import MIB, SERVICE, WHOLE, Bulk
from tests.support.instructions import ADDRESS, Lab, entry
from tests.support.meter import Metered
from tests.tcp.cost import TcpLab
from tests.vm import test_busy as busy_test

SMALL_ZONE = """\
$ORIGIN bench.example.
$TTL 3600
@ SOA ns hostmaster 1 7200 3600 1209600 300
@ NS ns
ns A 10.0.0.1
"""


def measure(name, quick=False):
    """Measure a row; those that come with it are returned, too."""
    together = {"size-zone": size, "query": cost, "ping": cost, "malformed": flood}
    together |= {"bulk-in": bulk_in, "bulk-out": bulk_out, "busy-ping": busy, "busy-connect": busy}
    together |= {"disk-read": disk, "disk-heap": disk}
    together |= {"http-connect": http, "http-heap": http_heap, "http-size": http_size}
    return together.get(name, globals().get(name))(quick)


def content(image):
    """The bytes of a disk image up to the last that is not zero."""
    return len(Path(image).read_bytes().rstrip(b"\0"))


def size(quick):
    with tempfile.TemporaryDirectory() as folder:
        zone = Path(folder) / "small.zone"
        zone.write_text(SMALL_ZONE)
        words = ("--set", f"zone={zone}", "--set", "protocols=udp4")
        without = content(images.build("dns", *words) / "dns.img")
    return {
        "size": {"value": without},
        "size-zone": {"value": content(images.build("dns") / "dns.img")},
    }


def asker(lab, **options):
    return lab.asker(53, load.bench_queries(), **options)


def boot(quick):
    elf = images.build("dns") / "dns.elf"
    counts = []
    for _ in range(3):
        with Lab(elf, gdb=True) as lab:
            counts.append(lab.first_answer(entry(elf), asker(lab, timeout=0.02)))
    return {"boot": {"value": min(counts), "all": counts}}


def cost(quick):
    elf = images.build("dns") / "dns.elf"
    count = 100 if quick else 1000
    with Lab(elf) as lab:
        lab.first(asker(lab, timeout=0.1))
        lab.settle()
        results = {}
        for name, ask in (("ping", lab.pinger()), ("query", asker(lab))):
            median, mean = lab.cost(ask, count)
            results[name] = {"value": median, "mean": mean, "note": f"mean {mean:,.0f}"}
    return results


def serves(elf, kilobytes):
    """Does a machine with so much memory boot and answer 20,000 queries under load?"""
    try:
        with Lab(elf, icount="", memory=f"{kilobytes}K") as lab:
            lab.first(asker(lab, timeout=0.05), within=5)
            counted = load.load(
                lab.namespace, ADDRESS, 53, "window", 20_000, 20, "dns", load.bench_queries()
            )
            return counted["right"] == 20_000
    except AssertionError:
        return False


def memory(quick):
    """The smallest -m, to 64 KiB."""
    elf = images.build("dns") / "dns.elf"
    bad, good = 0, 32768
    while good - bad > 64:
        middle = (good + bad) // 128 * 64
        if serves(elf, middle):
            good = middle
        else:
            bad = middle
    return {"memory": {"value": good}}


def start(quick):
    """An empty guest and ours in turn, from the start of QEMU; the difference of medians."""
    elf = images.build("dns") / "dns.elf"
    empty, ours = [], []
    with tempfile.TemporaryDirectory() as folder:
        guest = Path(folder) / "empty"
        guest.write_bytes(stub.multiboot())
        for _ in range(5 if quick else 21):
            with Lab(guest, icount="") as lab:
                empty.append(lab.machine.wait_for("!", 10))
            with Lab(elf, icount="") as lab:
                ours.append(lab.first(asker(lab, timeout=0.02), within=10))
    above = statistics.median(ours) - statistics.median(empty)
    return {
        "start": {
            "value": round(above * 1000, 1),
            "note": f"empty guest {statistics.median(empty) * 1000:.1f} ms,"
            f" ours {statistics.median(ours) * 1000:.1f} ms",
            "empty": empty,
            "ours": ours,
        }
    }


def heap(quick):
    """Bytes per query in a machine whose collector is off (tests/support/metered.py)."""
    count = 20_000 if quick else 100_000
    with Metered() as metered:
        allocated, _ = metered.allocated(metered.load, count)
        used = metered.read()
    return {"heap": {"value": allocated / count, "note": f"{used:,} bytes in use"}}


def idle(quick):
    with Lab(images.build("dns") / "dns.elf", icount="") as lab:
        lab.first(asker(lab, timeout=0.05))
        time.sleep(2)
        before = lab.machine.cpu_ticks()
        time.sleep(10)
        value = lab.machine.cpu_ticks() - before
        resident = lab.machine.resident()
    return {"idle": {"value": value, "note": f"resident {resident / 1e6:.1f} MB"}}


def flood(quick):
    count = 50_000 if quick else 1_000_000
    with Metered() as metered:
        allocated, counted = metered.allocated(metered.load, count)
        expected = metered.malformed(count // 10)
        after, _ = metered.allocated(metered.load, 1000)
        counters = metered.end()
    unaccounted = sum(abs(counters.get(name, 0) - n) for name, n in expected.items())
    return {
        "flood": {
            "value": count - counted["right"],
            "note": "{stalls} stalls, {wrong} wrong, {seconds:.1f} s".format(**counted)
            + f", {allocated} bytes allocated",
            "sender": counted,
        },
        "malformed": {
            "value": unaccounted,
            "note": f"{sum(expected.values()):,} sent; 1,000 queries after them allocated {after}",
        },
    }


def rate(quick):
    count = 50_000 if quick else 300_000
    rates = []
    for _ in range(1 if quick else 3):
        with Lab(images.build("dns") / "dns.elf", icount="") as lab:
            lab.first(asker(lab, timeout=0.05))
            before = lab.machine.cpu_ticks()
            counted = load.load(
                lab.namespace, ADDRESS, 53, "window", count, 20, "dns", load.bench_queries()
            )
            ticks = lab.machine.cpu_ticks() - before
            rates.append((counted["right"] / counted["seconds"], ticks * 10_000 / count))
    best, micros = max(rates)
    return {"rate": {"value": round(best), "note": f"{micros:.1f} us of QEMU's CPU per query"}}


def transfer(name, quick, extra=()):
    """(per KiB, per frame to the machine) of a bulk transfer."""
    with Bulk(images.build(str(SERVICE)) / "bulk.elf", extra=extra) as bulk:
        kib, frame, _ = bulk.cost(getattr(bulk, name), (4 if quick else 32) * MIB)
        return kib, frame


def bulk_in(quick):
    kib, frame = transfer("into", quick)
    return {"bulk-in": {"value": round(kib), "note": f"{frame:,.0f} per frame of the device"}}


def bulk_out(quick):
    kib, _ = transfer("out", quick)
    return {"bulk-out": {"value": round(kib)}}


def segment(quick):
    """Each segment a frame of its own, its checksum verified by the device; ACKs included."""
    kib, frame = transfer("into", quick, WHOLE)
    return {"segment": {"value": round(frame), "note": f"{kib:,.0f} per KiB"}}


def busy(quick):
    elf = images.build(str(busy_test.BUSY)) / "busy.elf"
    results = {}
    for name, times in zip(("ping", "connect"), busy_test.burn(elf, memory="32M"), strict=True):
        median, slow = (1000 * t for t in busy_test.percentiles(times))
        note = f"median {median:.2f} ms, {len(times)} times, a million instructions for a ms"
        results["busy-" + name] = {"value": round(slow, 2), "note": note}
    return results


def connections(quick):
    """Each has carried a byte both ways, and some are asked again in the end."""
    image = images.build("tests/tcp/services/meter.py") / "meter.elf"
    with TcpLab(image, memory="16M", icount=None) as lab:
        return {"connections": {"value": lab.idle()}}


def http(quick):
    """A page of services/site: on a connection that stays, and on one of its own."""
    count = 100 if quick else 1000
    with Lab(images.build("http") / "http.elf", offloads=True) as lab:
        lab.first(web.visitor(lab, timeout=0.5))
        time.sleep(5)
        stays, mean = lab.cost(web.getter(lab), count)
        comes, mean_comes = lab.cost(web.visitor(lab), count // 2)
    return {
        "http": {"value": stays, "mean": mean, "note": f"mean {mean:,.0f}"},
        "http-connect": {"value": comes, "mean": mean_comes, "note": f"mean {mean_comes:,.0f}"},
    }


def http_heap(quick):
    count = 2000 if quick else 20_000
    with web.MeteredWeb() as metered:
        return {"http-heap": {"value": metered.allocated(count) / count}}


def disk(quick):
    """The dearest of all sizes and orders, one request at a time, with a callback in viper."""
    elf = disk_cost.build()
    spent, heap = {}, 0
    for size in (4, 1024) if quick else disk_cost.SIZES:
        for order in disk_cost.ORDERS:
            functions, more = disk_cost.cost(elf, size, order, callback="viper")
            spent[f"{size} KB {order}"] = round(sum(functions.values()))
            heap = max(heap, more)
    note = ", ".join(f"{what} {count:,}" for what, count in spent.items())
    value = max(spent.values())
    return {
        "disk-read": {"value": value, "note": note, "all": spent},
        "disk-heap": {"value": heap},
    }


def formats(quick):
    """The best of three, of the whole command; MicroPython and the tools are there already."""
    times = []
    with images.lock("images"):
        for level in ("warning", "error", "info"):
            start, before = time.monotonic(), processors()
            images.importos("build", "dns", "--format", "all", "--set", f"log={level}")
            times.append(time.monotonic() - start)
            used = processors() - before
        images.importos("build", "dns")
    note = "all: " + " ".join(f"{seconds:.1f}" for seconds in times)
    note += f"; {used:.1f} s of all processors"
    return {"formats": {"value": round(min(times), 2), "note": note}}


def processors():
    """Seconds of processors that our children have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def qcow2(quick):
    folder = images.build("dns")
    cloud = images.build("dns", "--cloud") / "dns-cloud.qcow2"
    value = (folder / "dns.qcow2").stat().st_size
    note = f"of {content(folder / 'dns.img'):,} in the disk; with --cloud {cloud.stat().st_size:,}"
    return {"qcow2": {"value": value, "note": note}}


def http_size(quick):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "index.html").write_text("")
        image = images.build("http", "--set", f"site={folder}") / "http.img"
    return {"http-size": {"value": content(image)}}
