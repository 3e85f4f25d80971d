// Inflate, RFC 1951: the headers of blocks and the tables for what is in them.
//
// The tables make the work of block.S, which decodes the symbols, a matter of few instructions: a
// code's entry says its length and, for a match, base and extra bits.  An entry is found by the
// next FAST bits; the few codes that are longer are searched for.  The stream comes from our own
// build and its checksum has been compared, so nothing here can be out of range and nothing is
// checked.
#include <stddef.h>
#include <stdint.h>

enum { FAST = 10, LONGEST = 15, LITERALS = 288, DISTANCES = 32 };
enum alphabet { OF_LITERALS, OF_DISTANCES, OF_LENGTHS };

struct code {
    uint32_t fast[1 << FAST];
    uint32_t entries[LITERALS]; // in the order of their codes
    uint16_t count[LONGEST + 1];
};

struct inflate {
    const uint8_t *next;
    uint32_t bits;  // the next bits of the stream, lowest first
    uint32_t count; // how many of them are valid
    uint8_t *out;
    struct code literals, distances;
    uint8_t lengths[LITERALS + DISTANCES];
};

__asm__(".globl unpacks\n.set unpacks, 1"); // boot.S, header

// block.S knows these by number.
_Static_assert(offsetof(struct inflate, literals) == 16, "");
_Static_assert(offsetof(struct code, entries) == 4096, "");
_Static_assert(offsetof(struct code, count) == 5248, "");
_Static_assert(sizeof(struct code) == 5280, "");

// Symbols up to the end of the block; one symbol.
void inflate_block(struct inflate *);
unsigned inflate_symbol(struct inflate *);

static unsigned get(struct inflate *in, unsigned n) {
    while (in->count < n) {
        in->bits |= (uint32_t)*in->next++ << in->count;
        in->count += 8;
    }
    unsigned value = in->bits & ((1u << n) - 1);
    in->bits >>= n;
    in->count -= n;
    return value;
}

// Numbers like floating point ones (RFC 1951 3.2.5): in an entry, base and how many bits to add.
static uint32_t number(unsigned value, unsigned mantissa, unsigned least) {
    unsigned extra = value >> mantissa, base = value;
    if (extra >= 2) {
        extra--;
        base = ((1 << mantissa) + (value & ((1 << mantissa) - 1))) << extra;
    } else {
        extra = 0;
    }
    return (base + least) << 16 | extra << 8;
}

// What a symbol of an alphabet means.  Byte 0 is for the length of its code; its sign says that the
// entry is not a literal.
static uint32_t describe(unsigned symbol, enum alphabet alphabet) {
    if (alphabet == OF_DISTANCES) {
        return number(symbol, 1, 1);
    }
    if (symbol < 256) {
        return symbol << 8;
    }
    if (symbol == 256) {
        return 0x8080; // end of block: a negative number of extra bits
    }
    if (symbol == 285) {
        return 258 << 16 | 0x80;
    }
    return number(symbol - 257, 2, 3) | 0x80;
}

// RFC 1951 3.2.2: codes from their lengths.
static void build(struct code *code, const uint8_t *lengths, unsigned n, enum alphabet alphabet) {
    uint32_t *place[LONGEST + 1], *end = code->entries;
    for (unsigned i = 0; i <= LONGEST; i++) {
        code->count[i] = 0;
    }
    for (unsigned i = 0; i < n; i++) {
        code->count[lengths[i]]++;
    }
    for (unsigned i = 1; i <= LONGEST; i++) {
        place[i] = end;
        end += code->count[i];
    }
    for (unsigned i = 0; i < n; i++) {
        if (lengths[i]) {
            *place[lengths[i]]++ = describe(i, alphabet) | lengths[i];
        }
    }
    if (alphabet == OF_LENGTHS) {
        return; // few symbols: they are searched for
    }
    uint32_t *fast = code->fast;
    unsigned entries = 1 << FAST;
    __asm__ volatile("rep stosl" : "+D"(fast), "+c"(entries) : "a"(0) : "memory");
    // Codes are sent highest bit first, so they count up from the other end of the index.
    unsigned reversed = 0;
    for (const uint32_t *entry = code->entries; entry < end; entry++) {
        unsigned length = *entry & LONGEST;
        if (length > FAST) {
            break;
        }
        for (unsigned i = reversed; i < 1 << FAST; i += 1 << length) {
            code->fast[i] = *entry;
        }
        unsigned bit = 1 << (length - 1);
        while (reversed & bit) {
            reversed ^= bit;
            bit >>= 1;
        }
        reversed |= bit;
    }
}

// RFC 1951 3.2.7: the lengths of the codes, themselves coded.
static void read_lengths(struct inflate *in, unsigned *literals, unsigned *distances) {
    static const uint8_t order[] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                    11, 4,  12, 3, 13, 2, 14, 1, 15};
    uint8_t *lengths = in->lengths;
    *literals = get(in, 5) + 257;
    *distances = get(in, 5) + 1;
    unsigned n = get(in, 4) + 4;
    for (unsigned i = 0; i < sizeof(order); i++) {
        lengths[order[i]] = i < n ? get(in, 3) : 0;
    }
    build(&in->literals, lengths, sizeof(order), OF_LENGTHS);
    for (uint8_t *end = lengths + *literals + *distances; lengths < end;) {
        unsigned what = inflate_symbol(in), value = 0, repeat = 1;
        if (what < 16) {
            value = what;
        } else if (what == 16) {
            value = lengths[-1];
            repeat = 3 + get(in, 2);
        } else if (what == 17) {
            repeat = 3 + get(in, 3);
        } else {
            repeat = 11 + get(in, 7);
        }
        while (repeat--) {
            *lengths++ = value;
        }
    }
}

// RFC 1951 3.2.6.
static void fixed_lengths(struct inflate *in, unsigned *literals, unsigned *distances) {
    *literals = LITERALS;
    *distances = DISTANCES;
    for (unsigned i = 0; i < LITERALS + DISTANCES; i++) {
        in->lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : i < LITERALS ? 8 : 5;
    }
}

// Returns the end of what it wrote.  Reads up to 2 bytes behind the end of the stream.
uint8_t *unpack(uint8_t *out, const uint8_t *from, struct inflate *in) {
    unsigned last, literals, distances;
    in->next = from;
    in->bits = in->count = 0;
    in->out = out;
    do {
        last = get(in, 1);
        unsigned type = get(in, 2);
        if (type == 0) {
            // Stored: from the next whole byte, behind which block.S has read ahead.
            const uint8_t *stored = in->next - (in->count >> 3);
            unsigned length = stored[0] | stored[1] << 8;
            stored += 4;
            while (length--) {
                *in->out++ = *stored++;
            }
            in->next = stored;
            in->bits = in->count = 0;
            continue;
        }
        if (type == 1) {
            fixed_lengths(in, &literals, &distances);
        } else {
            read_lengths(in, &literals, &distances);
        }
        build(&in->literals, in->lengths, literals, OF_LITERALS);
        build(&in->distances, in->lengths + literals, distances, OF_DISTANCES);
        inflate_block(in);
    } while (!last);
    return in->out;
}
