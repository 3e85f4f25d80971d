// The disk image starts here: boot sector and loader, in front of a compressed image.
//
//     sector 0        boot sector: reads the loader
//     sectors 1..n    loader: memory map, payload to high memory, protected mode, unpack, jump;
//                     at its end the command line stored by the build
//     then            payload: the flat image of the ELF, its branches made absolute, packed as the
//                     loader unpacks: raw deflate (inflate.c) or raw LZMA (lzma.c)
//
// Loader and payload may lie elsewhere on the disk, behind a partition table say, and sectors may
// have 2048 bytes: on a CD, El Torito without emulation, the BIOS loads the first of them.
//
// The BIOS (any with INT 13h extensions) loads sector 0 at 0x7c00 and jumps there.  The image gets
// what a multiboot loader hands over (0.6.96): eax = magic, ebx = information with memory map and
// command line, so it needs no code of its own for us.  tools/image/disk.py fills in `header`.
//
//     0x00500..0x007ff   memory map, multiboot's form
//     0x01000..0x07bff   stack, downward
//     0x07c00..          this, linked as one piece
//     0x10000..0x17fff   bounce buffer for the disk, then the tables of `unpack`
//     0x100000..         the image; behind it the payload, which its .bss and heap overwrite
//
// Left out: disks without LBA, UEFI (tools/image/formats/efi.py), retries of failed reads.

#define MAP          0x500
#define MAP_ENTRY    24
#define MAP_END      0x7f0
#define BOUNCE       0x10000
#define IMAGE        0x100000
#define HASH_FACTOR  0x9e3779b1                 // odd: each step is a bijection of the sum

    .code16
    .section .text.boot, "ax"
    .globl start
start:
    jmp 1f

    .balign 4
header:                                         // tools/image/disk.py writes these, in this order
packet:          .word 0                        // INT 13h's disk address packet: its size,
packet_count:    .word 0                        // sectors of the loader,
packet_to:       .word 0, 0                     // offset and segment,
packet_lba:      .long 0, 0                     // where they lie
entry:           .long 0
payload_first:   .long 0                        // LBA
payload_sectors: .long 0
chunk:           .long 0                        // 32 KB in sectors: every BIOS can read 127
sector_shift:    .long 0                        // binary logarithm of a sector's words
payload_address: .long 0
payload_end:     .long 0
payload_hash:    .long 0
command_line:    .long 0
calls_length:    .long 0
pools:           .long 0                        // what to compute from names, behind the image
packing:         .long unpacks                  // what `unpack` takes: DEFLATE or LZMA of disk.py

1:  cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $start, %sp
    ljmp $0, $1f                                // some BIOSes come as 07c0:0000
1:  sti
    movb %dl, drive
    movw $0x55aa, %bx
    movb $0x41, %ah                             // INT 13h extensions present?
    int $0x13
    movw $no_lba, %si
    jc fail
    cmpw $0xaa55, %bx
    jne fail
    call read
    jmp loader

// One extended read as `packet` says.
read:
    movw $packet, %si
    movb drive, %dl
    movb $0x42, %ah
    int $0x13
    movw $bad_disk, %si
    jc fail
    ret

// Say why on screen and first serial line, end QEMU where it listens, halt.
fail:
    movw $name, %di
    call say
    movw %si, %di
    call say
    movb $0x7f, %al
    outb %al, $0xf4
1:  cli
    hlt
    jmp 1b

say:
    movb (%di), %al
    incw %di
    testb %al, %al
    jz 2f
    movw $0x3fd, %dx
    movb %al, %cl
1:  inb %dx, %al
    testb $0x20, %al                            // transmitter empty; all ones where there is none
    jz 1b
    movb %cl, %al
    movw $0x3f8, %dx
    outb %al, %dx
    movb $0x0e, %ah
    movw $7, %bx
    int $0x10
    jmp say
2:  ret

drive:      .byte 0
name:       .asciz "ImportOS: "
no_lba:     .asciz "the BIOS cannot read this disk by LBA\r\n"
bad_disk:   .asciz "the disk cannot be read\r\n"
no_memory:  .asciz "too little memory\r\n"
damaged:    .asciz "the image is damaged\r\n"
loader_name: .asciz "ImportOS disk"
    .org 440                                    // disk signature and partition table, then
    .org 510
    .word 0xaa55

// Loaded from here on.

loader:
    movw $0x2401, %ax                           // A20 on; most firmware has done it
    int $0x15
    inb $0x92, %al
    testb $2, %al
    jnz 1f
    orb $2, %al
    andb $0xfe, %al                             // bit 0 would reset
    outb %al, $0x92

// The memory map, INT 15h E820, straight into multiboot's form: size, base, length, type.
1:  xorl %ebx, %ebx
    movw $MAP, %di
next_region:
    movl $MAP_ENTRY - 4, %ecx
    movl %ecx, (%di)
    addw $4, %di
    movl $0x534d4150, %edx                      // "SMAP"
    movl $0xe820, %eax
    int $0x15
    jc 1f                                       // past the end, or no such call
    addw $MAP_ENTRY - 4, %di
    cmpw $MAP_END, %di
    ja 2f
    testl %ebx, %ebx
    jnz next_region
    jmp 2f
1:  subw $4, %di
2:  subw $MAP, %di
    movw %di, map_length

// The region at 1 MiB has to hold image and payload.
    movl payload_end, %edx
    movw $MAP, %si
    addw %si, %di
1:  cmpw %di, %si
    movw $no_memory, %bx
    jae fail_bx
    addw $MAP_ENTRY, %si
    cmpb $1, 20-MAP_ENTRY(%si)                  // usable
    jne 1b
    cmpl $0, 8-MAP_ENTRY(%si)                   // base below 4 GiB
    jne 1b
    movl 4-MAP_ENTRY(%si), %eax
    cmpl $IMAGE, %eax
    ja 1b
    cmpl $0, 16-MAP_ENTRY(%si)                  // 4 GiB or more of it
    jne 2f
    addl 12-MAP_ENTRY(%si), %eax
    cmpl %edx, %eax
    jb 1b

// The payload: chunk by chunk into the bounce buffer, summed, copied up.
2:  movl payload_first, %eax
    movl %eax, packet_lba
    movl payload_address, %edi
    movl $0, packet_to
    movw $BOUNCE >> 4, packet_to + 2
next_chunk:
    movl payload_sectors, %ecx
    testl %ecx, %ecx
    jz loaded
    cmpl chunk, %ecx
    jbe 1f
    movl chunk, %ecx
1:  movw %cx, packet_count
    pushal                                      // the BIOS may use all of them
    call read
    popal
    subl %ecx, payload_sectors
    addl %ecx, packet_lba
    movl %ecx, %eax
    movb sector_shift, %cl
    shll %cl, %eax
    xchgl %eax, %ecx                            // words
    pushl %ecx
    movl sum, %eax
    xorw %si, %si
    movw $BOUNCE >> 4, %dx
    movw %dx, %ds
1:  xorl (%si), %eax
    roll $5, %eax
    imull $HASH_FACTOR, %eax
    addw $4, %si
    decw %cx
    jnz 1b
    movw %cx, %ds
    movl %eax, sum
    popl %ecx
    // Protected mode for the length of the copy: the BIOS restores 64 KiB limits at will.
    cli
    lgdtl gdt_register
    movl %cr0, %eax
    incw %ax
    movl %eax, %cr0
    jmp 1f
1:  movw $DATA, %dx
    movw %dx, %ds
    movw %dx, %es
    movl $BOUNCE, %esi
    rep addr32 movsl
    movw $DATA16, %dx
    movw %dx, %ds
    movw %dx, %es
    decw %ax
    movl %eax, %cr0
    jmp 1f
1:  movw %cx, %ds
    movw %cx, %es
    sti
    jmp next_chunk

loaded:
    movl sum, %eax
    cmpl payload_hash, %eax
    movw $damaged, %bx
    je enter
fail_bx:
    movw %bx, %si
    jmp fail

enter:
    cli
    lgdtl gdt_register
    movl %cr0, %eax
    incw %ax
    movl %eax, %cr0
    ljmpl $CODE, $1f
    .code32
1:  movw $DATA, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw %ax, %fs
    movw %ax, %gs
    movl $0x7000, %esp                          // not in a page with code: emulators watch those
    pushl $tables
    pushl payload_address
    pushl $IMAGE
    call unpack
// The build made the operands of jumps (e9), and before that those of calls (e8), absolute and
// big-endian: calls of one function look alike then, which compresses better.  Back to distances, in
// the code at the front of the image; what leads out of it was left alone, but for a rotation that
// keeps the two apart (tools/image/disk.py).
    movb $0xe9, %al
    movl calls_length, %esi
undo:
    movl $IMAGE, %edi
    movl %esi, %ecx
1:  repne scasb
    jne 2f
    cmpl $4, %ecx
    jb 2f
    movl (%edi), %edx
    bswapl %edx
    leal 4 - IMAGE(%edi), %ebx                  // where it stands, as the place it leads to
    cmpl %esi, %edx
    jae 3f
    subl %ebx, %edx
    jmp 4f
3:  addl %edx, %ebx                             // carries from -ebx to -1
    jnc 4f
    addl %esi, %edx
4:  movl %edx, (%edi)
    addl $4, %edi
    subl $4, %ecx
    jmp 1b
2:  decb %al
    cmpb $0xe8, %al
    je undo

// Pointers, lengths and hashes of names are not in the payload (tools/image/disk.py): they follow from
// the characters.  Five words for each run of names: how many, characters, hashes, lengths, pointers.
    movl pools, %esi
next_pool:
    lodsl
    testl %eax, %eax
    jz 5f
    pushl %eax
    lodsl
    xchgl %eax, %edi
    lodsl
    xchgl %eax, %ebx
    lodsl
    xchgl %eax, %edx
    lodsl
    xchgl %eax, %ebp
    popl %ecx
    pushl %esi
    movl %edi, %esi
1:  movl %esi, (%ebp)
    movb $5381 & 0xff, %ah                      // of `hash * 33 ^ character` the lowest byte
2:  movb %ah, %al
    shlb $5, %al
    addb %al, %ah
    lodsb
    xorb %al, %ah
    testb %al, %al
    jnz 2b
    // The byte behind the name has been counted too: `ah` is 33 times the hash.  33 * 225 = 1.
    movb $225, %al
    mulb %ah
    cmpb $1, %al                                // 0 is none
    adcb $0, %al
    movb %al, (%ebx)
    incl %ebx
    movl %esi, %eax
    subl (%ebp), %eax
    decl %eax
    movb %al, (%edx)
    incl %edx
    addl $4, %ebp
    loop 1b
    popl %esi
    jmp next_pool
5:
    movl $0x2badb002, %eax                      // multiboot's magic
    movl $information, %ebx
    movl command_line, %ecx
    movl %ecx, information_command_line
    jmp *entry

    .balign 8
gdt:
    .quad 0
    .equ CODE, . - gdt
    .quad 0x00cf9a000000ffff
    .equ DATA, . - gdt
    .quad 0x00cf92000000ffff
    .equ DATA16, . - gdt
    .quad 0x000092000000ffff                    // what real mode expects to find cached
gdt_register:
    .word . - gdt - 1
    .long gdt

    .balign 4
sum:        .long 0
information:                                    // multiboot: flags, then only what they announce
    .long 1 << 2 | 1 << 6 | 1 << 9              // command line, memory map, loader's name
    .long 0, 0, 0
information_command_line:
    .long 0
    .long 0, 0, 0, 0, 0, 0
map_length: .long 0
    .long MAP
    .long 0, 0, 0
    .long loader_name
    .section .note.GNU-stack, "", @progbits
