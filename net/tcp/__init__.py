"""TCP, RFC 9293: `from net.tcp import Tcp`, then `Inet(machine, tcp=Tcp)`.  See docs/tcp.md.

block        what is known of one connection, words in one buffer
header       the header's layout
tcp          ports and connections: the page that makes and wires the parts below
listener, connection      what a service sees

table        which connection a segment belongs to
clock        whose deadline is next
fast         every segment enters here; the expected ones end here
arrive       all others: the eight steps of RFC 9293 3.10.7
establish    connections that come to be: SYN, SYN-ACK, and what becomes of them
halfopen     passive connections before their third segment, in rows of a table
timewait     connections after their last segment, likewise
acknowledge  what an acknowledgement means
reassembly   data out of order
sendqueue    data to be sent: references and chunks
output       what may be sent now
segment      one segment: header, options, payload, checksum
timers       what happens when a deadline has passed
"""

from net.tcp.tcp import Tcp

__all__ = ["Tcp"]
