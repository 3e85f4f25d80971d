// Entry points of all exceptions and interrupts, 16 bytes apart.
//
// Exceptions build a trap_frame and call trap().  An interrupt only counts: it increments the
// counter of its line, masks the line at the PIC until the event loop waits again, acknowledges and
// returns.  Masking edge-triggered lines too loses nothing: the 8259 latches an edge in its request
// register whether or not the line is masked.  Lines from 16 on are edges, too, and are not masked
// at all; bit 16 of lines_masked_here says that one of them has come since the last wait.

    .set PIC1, 0x20
    .set PIC2, 0xa0
    .set LAPIC_EOI, 0xfee000b0

    .section .text.vectors, "ax"
    .align 16
    .globl vectors
vectors:
    .macro exception number
    .align 16
    // Vectors with an error code of their own: 8, 10 to 14, 17, 21, 29, 30 (Intel SDM 3, 6.15).
    .if !(\number == 8 || (\number >= 10 && \number <= 14) || \number == 17 || \number == 21 || \number == 29 || \number == 30)
    pushl $0
    .endif
    pushl $\number
    jmp exception_entry
    .endm
    .set n, 0
    .rept 32
    exception n
    .set n, n + 1
    .endr

    .set n, 0
    .rept 16
    .align 16
    pushl %eax
    movb $n, %al
    .if n < 8
    jmp line_low
    .else
    jmp line_high
    .endif
    .set n, n + 1
    .endr

    .align 16               // 48: one-shot timer of the local APIC
    incl interrupts + 16 * 4
    jmp message

    .set n, 17              // 49: messages of devices, and the IOAPIC's lines
    .rept 15
    .align 16
    incl interrupts + n * 4
    jmp message
    .set n, n + 1
    .endr

    .align 16               // 64: the serial line by the IOAPIC, where there is no 8259
    incl interrupts + 4 * 4
    jmp message

    .align 16               // spurious interrupt of the local APIC: no acknowledgement
    iret

message:                    // edges: there is nothing to mask
    orl $1 << 16, lines_masked_here
    movl $0, LAPIC_EOI
    iret

exception_entry:
    pushal
    cld
    pushl %esp
    call trap
    addl $4, %esp
    popal
    addl $8, %esp
    iret

    .text
line_low:
    pushl %ecx
    movzbl %al, %ecx
    cmpb $7, %al
    je spurious_low
1:  incl interrupts(, %ecx, 4)
    btsl %ecx, lines_masked_here
    btsl %ecx, lines_masked
    movb lines_masked, %al
    outb %al, $PIC1 + 1
    movb $0x60, %al         // specific end of interrupt
    orb %cl, %al
    outb %al, $PIC1
    popl %ecx
    popl %eax
    iret
spurious_low:               // line 7 without its in-service bit: the request went away
    movb $0x0b, %al
    outb %al, $PIC1
    inb $PIC1, %al
    testb $0x80, %al
    jnz 1b
    popl %ecx
    popl %eax
    iret

line_high:
    pushl %ecx
    movzbl %al, %ecx
    cmpb $15, %al
    je spurious_high
1:  incl interrupts(, %ecx, 4)
    btsl %ecx, lines_masked_here
    btsl %ecx, lines_masked
    movb lines_masked + 1, %al
    outb %al, $PIC2 + 1
    leal 0x60 - 8(%ecx), %eax
    outb %al, $PIC2
    movb $0x62, %al         // the cascade
    outb %al, $PIC1
    popl %ecx
    popl %eax
    iret
spurious_high:
    movb $0x0b, %al
    outb %al, $PIC2
    inb $PIC2, %al
    testb $0x80, %al
    jnz 1b
    movb $0x62, %al
    outb %al, $PIC1
    popl %ecx
    popl %eax
    iret

    .section .note.GNU-stack, "", @progbits
