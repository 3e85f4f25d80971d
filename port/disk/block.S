// The inner loop of inflate: 11 instructions for a literal, 40 and one for each byte for a match.
//
//     ebp  struct inflate (inflate.c)         esi  next byte of the stream    edi  output
//     ebx  the next bits, lowest first        dl   how many, less 16: negative when a code might
//                                                  not be complete any more
//     eax  entry: byte 0 length of the code and a sign for "no literal", byte 1 literal or number
//          of extra bits, upper half what these are added to
//
// An entry 0 of the fast table stands for codes longer than it: these are searched for.

#define NEXT        0
#define BITS        4
#define COUNT       8
#define OUT         12
#define LITERALS    16
#define DISTANCES   (LITERALS + 5280)
#define ENTRIES     4096                        // in struct code
#define LENGTHS     5250                        // its count[1]
#define FAST_MASK   1023

    .macro refill                               // 16 bits more; eax is lost
    addb $16, %dl
    movb %dl, %cl
    movzwl (%esi), %eax
    addl $2, %esi
    shll %cl, %eax
    orl %eax, %ebx
    .endm

    .macro look_up code
    movl %ebx, %eax
    andl $FAST_MASK, %eax
    movl \code(%ebp,%eax,4), %eax
    .endm

    .macro take to                              // cl bits; clears `to` first
    xorl \to, \to
    shrdl %cl, %ebx, \to
    shrl %cl, %ebx
    roll %cl, \to
    .endm

    .text
    .globl inflate_block, inflate_symbol

// void inflate_block(struct inflate *): symbols up to the end of the block.
inflate_block:
    pushal
    movl 36(%esp), %ebp
    call load
    jmp next_if_enough

long_literal:
    pushl $LITERALS
    call search
    jmp literal

literal_refill:
    refill
next:
    look_up LITERALS
literal:
    movb %al, %cl
    testb %al, %al
    jle match
    shrl %cl, %ebx
    movb %ah, (%edi)
    incl %edi
    subb %cl, %dl
    jns next
    jmp literal_refill

match:
    jz long_literal
    andb $15, %cl
    shrl %cl, %ebx
    subb %cl, %dl
    js length_refill
length:
    testb %ah, %ah
    jnz length_extra
length_known:
    shrl $16, %eax
    pushl %eax
    look_up DISTANCES
    testb %al, %al
    jz long_distance
distance:
    movb %al, %cl
    shrl %cl, %ebx
    subb %cl, %dl
    js distance_refill
distance_extra:
    movb %ah, %cl
    shrl $16, %eax
    movl %esi, NEXT(%ebp)
    take %esi
    subb %cl, %dl
    addl %eax, %esi
    negl %esi
    addl %edi, %esi
    popl %ecx
    rep movsb
    movl NEXT(%ebp), %esi
next_if_enough:
    testb %dl, %dl
    jns next
    jmp literal_refill

length_refill:
    pushl %eax
    refill
    popl %eax
    jmp length

length_extra:
    js end
    movb %ah, %cl
    movl %esi, NEXT(%ebp)
    take %esi
    shll $16, %esi
    addl %esi, %eax
    movl NEXT(%ebp), %esi
    movb $0, %ah
    subb %cl, %dl
    js length_refill
    jmp length_known

long_distance:
    pushl $DISTANCES
    call search
    jmp distance

distance_refill:
    pushl %eax
    refill
    popl %eax
    jmp distance_extra

// unsigned inflate_symbol(struct inflate *): one symbol below 256, of `literals`.
inflate_symbol:
    pushal
    movl 36(%esp), %ebp
    call load
    jns 1f
    refill
1:  pushl $LITERALS
    call search
    movb %al, %cl
    shrl %cl, %ebx
    subb %cl, %dl
    movzbl %ah, %eax
    movl %eax, 28(%esp)                         // popal's eax
end:
    addb $16, %dl
    movzbl %dl, %edx
    movl %esi, NEXT(%ebp)
    movl %ebx, BITS(%ebp)
    movl %edx, COUNT(%ebp)
    movl %edi, OUT(%ebp)
    popal
    ret

load:
    movl NEXT(%ebp), %esi
    movl BITS(%ebp), %ebx
    movl COUNT(%ebp), %edx
    movl OUT(%ebp), %edi
    subb $16, %dl
    ret

// The entry of the next code, bit by bit: among the codes of one length, the distance of the bits
// from the first code is the index of the entry (RFC 1951 3.2.2).
search:
    pushl %ebx
    pushl %edx
    pushl %esi
    pushl %edi
    movl 20(%esp), %edi                         // which code
    addl %ebp, %edi
    leal LENGTHS(%edi), %esi
    addl $ENTRIES, %edi
    xorl %edx, %edx
1:  movzwl (%esi), %ecx
    addl $2, %esi
    shrl $1, %ebx
    adcl %edx, %edx
    cmpl %ecx, %edx
    jb 2f
    subl %ecx, %edx
    leal (%edi,%ecx,4), %edi
    jmp 1b
2:  movl (%edi,%edx,4), %eax
    popl %edi
    popl %esi
    popl %edx
    popl %ebx
    ret $4
    .section .note.GNU-stack, "", @progbits
