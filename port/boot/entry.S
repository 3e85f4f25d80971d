// Where a loader enters: the multiboot header, the PVH note, and the few instructions before C.
//
// Multiboot 1 (0.6.96): eax = 0x2badb002, ebx = the information structure.  Our own disk loader
// enters the same way.  PVH (Xen's x86/HVM direct boot ABI): ebx = hvm_start_info.
// All of them hand over flat 32-bit protected mode with paging off and interrupts disabled.

    .section .multiboot, "a"
    .align 4
    .long 0x1badb002            // magic
    .long 0x00000003            // flags: modules on page boundaries, memory map wanted
    .long -(0x1badb002 + 0x00000003)

    .section .note.Xen, "a", @note
    .align 4
    .long 4                     // name size
    .long 4                     // descriptor size
    .long 18                    // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long entry_pvh

    .section .text.entry, "ax"
    .globl entry
entry_pvh:
    xorl %eax, %eax
entry:
    cli
    cld
    movl $stack_top, %esp
    movl %eax, %esi
    xorl %eax, %eax
    movl $bss_start, %edi
    movl $bss_words, %ecx
    rep stosl                   // a loader may have left anything there
    pushl %ebx
    movl $1, %eax
    cpuid
    popl %ebx
    testl $(1 << 26), %edx      // all C code is compiled for SSE2
    jz too_old
    movl %cr0, %eax
    andl $~(1 << 2 | 1 << 3), %eax  // CR0.EM, TS: off
    orl $(1 << 1 | 1 << 5), %eax    // CR0.MP, NE
    movl %eax, %cr0
    movl %cr4, %eax
    orl $(1 << 9 | 1 << 10), %eax   // CR4.OSFXSR, OSXMMEXCPT: SSE2 is the floating point
    movl %eax, %cr4
    pushl %ebx
    pushl %esi
    call start
too_old:
    movw $0x3f8, %dx
    movl $message, %esi
1:  lodsb
    testb %al, %al
    jz 2f
    outb %al, %dx
    jmp 1b
2:  cli
    hlt
    jmp 2b

    .section .rodata
message:
    .asciz "ImportOS needs a processor with SSE2.\r\n"

    .section .note.GNU-stack, "", @progbits
