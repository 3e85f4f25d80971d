// Inflate, RFC 1951: small first, then few instructions per byte.
//
// A symbol is looked up in a table by its next FAST bits; the few longer codes are searched in
// canonical order, one bit at a time.  The stream comes from our own build and its checksum has
// been compared, so nothing here can be out of range and nothing is checked.
#include <stdint.h>

enum { FAST = 10, LONGEST = 15, LITERALS = 288, DISTANCES = 32, END_OF_BLOCK = 256 };

struct code {
    uint16_t fast[1 << FAST]; // symbol << 4 | length of its code, 0: longer than FAST
    uint16_t count[LONGEST + 1];
    uint16_t symbols[LITERALS]; // in the order of their codes
};

struct tables {
    struct code literals, distances;
    uint8_t lengths[LITERALS + DISTANCES];
};

struct stream {
    const uint8_t *next;
    uint32_t bits;  // the next bits, lowest first
    unsigned count; // how many of them are valid
};

// At least 24 bits, by one load that may reach beyond what is counted.
static inline void fill(struct stream *in) {
    in->bits |= *(const uint32_t *)in->next << in->count;
    in->next += (31 - in->count) >> 3;
    in->count |= 24;
}

static inline unsigned take(struct stream *in, unsigned n) {
    unsigned value = in->bits & ((1u << n) - 1);
    in->bits >>= n;
    in->count -= n;
    return value;
}

static unsigned get(struct stream *in, unsigned n) {
    fill(in);
    return take(in, n);
}

// RFC 1951 3.2.2: codes from lengths.
static void build(struct code *code, const uint8_t *lengths, unsigned n) {
    uint16_t place[LONGEST + 2];
    for (unsigned i = 0; i <= LONGEST; i++) {
        code->count[i] = 0;
    }
    for (unsigned i = 0; i < n; i++) {
        code->count[lengths[i]]++;
    }
    place[1] = code->count[0] = 0;
    for (unsigned i = 1; i <= LONGEST; i++) {
        place[i + 1] = place[i] + code->count[i];
    }
    for (unsigned i = 0; i < n; i++) {
        if (lengths[i]) {
            code->symbols[place[lengths[i]]++] = i;
        }
    }
    for (unsigned i = 0; i < 1 << FAST; i++) {
        code->fast[i] = 0;
    }
    // Codes are sent highest bit first, so they count up from the other end of the index.
    const uint16_t *symbol = code->symbols;
    unsigned reversed = 0;
    for (unsigned length = 1; length <= FAST; length++) {
        for (unsigned left = code->count[length]; left; left--) {
            unsigned entry = *symbol++ << 4 | length;
            for (unsigned i = reversed; i < 1 << FAST; i += 1 << length) {
                code->fast[i] = entry;
            }
            unsigned bit = 1 << (length - 1);
            while (reversed & bit) {
                reversed ^= bit;
                bit >>= 1;
            }
            reversed |= bit;
        }
    }
}

static unsigned search(struct stream *in, const struct code *code) {
    unsigned value = 0, first = 0, index = 0;
    for (const uint16_t *count = code->count + 1;; count++) {
        value |= take(in, 1);
        if (value - first < *count) {
            return code->symbols[index + value - first];
        }
        index += *count;
        first = (first + *count) << 1;
        value <<= 1;
    }
}

// Needs up to LONGEST valid bits.
static inline unsigned symbol(struct stream *in, const struct code *code) {
    unsigned entry = code->fast[in->bits & ((1 << FAST) - 1)];
    if (!entry) {
        return search(in, code);
    }
    take(in, entry & 15);
    return entry >> 4;
}

// RFC 1951 3.2.7: the codes of a block, themselves coded.
static void read_codes(struct stream *in, struct tables *tables) {
    static const uint8_t order[] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                    11, 4,  12, 3, 13, 2, 14, 1, 15};
    uint8_t *lengths = tables->lengths;
    unsigned literals = get(in, 5) + 257, distances = get(in, 5) + 1, n = get(in, 4) + 4;
    for (unsigned i = 0; i < sizeof(order); i++) {
        lengths[order[i]] = i < n ? get(in, 3) : 0;
    }
    build(&tables->literals, lengths, sizeof(order));
    for (unsigned i = 0; i < literals + distances;) {
        fill(in);
        unsigned what = symbol(in, &tables->literals), value = 0, repeat = 1;
        if (what < 16) {
            value = what;
        } else if (what == 16) {
            value = lengths[i - 1];
            repeat = 3 + take(in, 2);
        } else if (what == 17) {
            repeat = 3 + take(in, 3);
        } else {
            repeat = 11 + take(in, 7);
        }
        while (repeat--) {
            lengths[i++] = value;
        }
    }
    build(&tables->literals, lengths, literals);
    build(&tables->distances, lengths + literals, distances);
}

// RFC 1951 3.2.6.
static void fixed_codes(struct tables *tables) {
    uint8_t *lengths = tables->lengths;
    for (unsigned i = 0; i < LITERALS; i++) {
        lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    }
    build(&tables->literals, lengths, LITERALS);
    for (unsigned i = 0; i < DISTANCES; i++) {
        lengths[i] = 5;
    }
    build(&tables->distances, lengths, DISTANCES);
}

static inline uint8_t *copy(uint8_t *out, const uint8_t *from, unsigned n) {
    __asm__ volatile("rep movsb" : "+D"(out), "+S"(from), "+c"(n) : : "memory");
    return out;
}

uint8_t *inflate(uint8_t *out, const uint8_t *from, struct tables *tables) {
    struct stream in = {from, 0, 0};
    unsigned last;
    do {
        last = get(&in, 1);
        unsigned type = take(&in, 2);
        if (type == 0) {
            // Stored: back to the byte boundary, give back the bytes read ahead.
            in.next -= in.count >> 3;
            unsigned length = *(const uint16_t *)in.next;
            out = copy(out, in.next + 4, length);
            in = (struct stream){in.next + 4 + length, 0, 0};
            continue;
        }
        if (type == 1) {
            fixed_codes(tables);
        } else {
            read_codes(&in, tables);
        }
        for (;;) {
            fill(&in);
            unsigned what = symbol(&in, &tables->literals);
            if (what < END_OF_BLOCK) {
                *out++ = what;
                continue;
            }
            if (what == END_OF_BLOCK) {
                break;
            }
            // RFC 1951 3.2.5: both alphabets grow like floating point numbers.
            unsigned length = what - 257;
            if (length >= 8) {
                unsigned extra = (length >> 2) - 1;
                length = what == 285 ? 255 : ((4 + (length & 3)) << extra) + take(&in, extra);
            }
            fill(&in);
            unsigned distance = symbol(&in, &tables->distances);
            if (distance >= 4) {
                unsigned extra = (distance >> 1) - 1;
                fill(&in);
                distance = ((2 + (distance & 1)) << extra) + take(&in, extra);
            }
            out = copy(out, out - distance - 1, length + 3);
        }
    } while (!last);
    return out;
}
