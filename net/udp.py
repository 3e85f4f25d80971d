"""UDP: ports, sockets, datagrams in and out.  RFC 768; RFC 1122 section 4.1.

What a service sees:

    socket = inet.udp.bind(7, callback)       port 0: a free ephemeral port (RFC 6056), socket.port
    def callback(socket, datagram): ...       `datagram` is the received Packet, lent for the call:
        datagram.buffer                       the bytes; the payload is buffer[payload:end]
        datagram.payload .end .length         offsets and number (viper: ptr16(buffer)[3], [4])
        datagram.data                         a copy of the payload
        datagram.source .source_port          the sender, 4 bytes and a number
        datagram.destination

    socket.reply(datagram, buffer, offset, length) -> bool
                                              send buffer[offset:offset + length] to the sender;
                                              False: nothing could be sent, and it was counted
    packet = socket.packet()                  a free transmit Packet, or None when there is none:
                                              fill packet.buffer from packet.payload, at most
                                              packet.room bytes, then set packet.length
    socket.answer(datagram, packet)           send it to the sender of the datagram; takes it over
    socket.send(packet, address, port)        send it anywhere (address: 4 bytes); takes it over
    socket.send_to(data, address, port) -> bool   copy data, up to 65,507 bytes, in fragments if
                                              it does not fit a packet
    socket.close()                            give the port back
    socket.unreachable                        slot (socket, address, port, code): the network says
                                              that a datagram did not arrive; unset: counted
    socket.callback                           slot, may be replaced at any time

Receive, callback, reply or answer allocate nothing.
Above: services, DHCP, DNS.  Below: ip4.send; sideways: icmp (port unreachable).
"""
