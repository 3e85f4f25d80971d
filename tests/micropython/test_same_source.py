"""The tests of net/ and runtime/ once more, on MicroPython for Linux.

CPython runs the plain meaning of the viper functions with every load bounds-checked; this runs
their machine code, 32 bits wide as in the image.  The same tests pass on both: both mean the same.
"""

import subprocess

import pytest

from tests.micropython.translate import translate
from tests.support import images

MODULES = [
    "clients/test_clock.py",
    "clients/test_mdns.py",
    "clients/test_ntp.py",
    "clients/test_resolver.py",
    "clients/test_syslog.py",
    "http/test_known.py",
    "http/test_rfc9112.py",
    "http/test_session.py",
    "ip6/test_addresses.py",
    "ip6/test_dhcp6.py",
    "ip6/test_extension.py",
    "ip6/test_header.py",
    "ip6/test_hostile.py",
    "ip6/test_icmp6.py",
    "ip6/test_neighbours.py",
    "ip6/test_routers.py",
    "ip6/test_selection.py",
    "ip6/test_two_stacks.py",
    "net/test_arp.py",
    "net/test_checksum.py",
    "net/test_dhcp.py",
    "net/test_dhcp_options.py",
    "net/test_dual.py",
    "net/test_ethernet.py",
    "net/test_hostile.py",
    "net/test_icmp.py",
    "net/test_igmp.py",
    "net/test_interfaces.py",
    "net/test_ip4.py",
    "net/test_loopback.py",
    "net/test_mtu.py",
    "net/test_offload.py",
    "net/test_packet.py",
    "net/test_path_mtu.py",
    "net/test_reassembly.py",
    "net/test_routes.py",
    "net/test_two_stacks.py",
    "net/test_udp.py",
    "net/test_urgent.py",
    "runtime/test_csprng.py",
    "runtime/test_timers.py",
    "tcp/test_core_icmp.py",
    "tcp/test_core_many.py",
    "tcp/test_core_narrow.py",
    "tcp/test_core_transfer.py",
    "tcp/test_ecn.py",
    "tcp/test_core_shortage.py",
    "tcp/test_flood.py",
    "tcp/test_ip6.py",
    "tcp/test_matrix.py",
    "tcp/test_options.py",
    "tcp/test_rfc2018.py",
    "tcp/test_rfc3168.py",
    "tcp/test_rfc4987.py",
    "tcp/test_rfc5681.py",
    "tcp/test_pause.py",
    "tcp/test_rfc6298.py",
    "tcp/test_rfc6528.py",
    "tcp/test_rfc6582.py",
    "tcp/test_rfc6675.py",
    "tcp/test_rfc7323.py",
    "tcp/test_rfc8899.py",
    "tcp/test_rfc9293.py",
    "tcp/test_rfc9293_close.py",
    "tcp/test_rfc9293_flow.py",
    "tcp/test_rfc9438.py",
    "tcp/test_scoreboard.py",
    "tcp/test_siphash.py",
]

# Tests that MicroPython cannot run as they are written; what they test is tested on CPython.
LEFT_OUT = {
    "test_identification_differs_between_datagrams_and_not_within": "set.union of many",
    "test_no_memory_for_reassembly": "replaces a class (monkeypatch)",
    "test_pcap_holds_every_frame": "writes a file (tmp_path)",
    "test_rfc2131_3_1_discover_offer_request_ack": "looks for a number in bytes",
    "test_rfc2132_9_3_overloaded_fields_are_read": "bytes.ljust",
    "test_state_table_and_picture_agree": "reads a docstring",
    "test_table_is_bounded_and_used_entries_survive_a_scan": "slices with a step",
    "test_wiring_has_no_open_end": "asks a bound method for its object",
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("module", MODULES)
def test_it_passes_on_micropython(micropython_linux, tmp_path, module):
    source = images.ROOT / "tests" / module
    translated = tmp_path / source.name
    translated.write_text(translate(source.read_text()))
    run = ["tests/micropython/run.py", translated, *[f"-{name}" for name in LEFT_OUT]]
    done = subprocess.run(
        [micropython_linux, "-X", "heapsize=16m", *run],
        cwd=images.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "left out" not in done.stdout, done.stdout
    assert done.stdout.count("ok ") >= 1
