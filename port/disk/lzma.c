// LZMA, as the specification in its SDK 9.22 and later has it: a raw stream that ends by its
// marker.
//
// A range coder decides bit by bit, each with the probability that some context has learnt: what
// was decided before (`state`), the byte before a literal, the bits of a number so far.  Packets
// are a literal, a match at a new distance, or one at one of the last four.
//
// Properties: lc = 3, lp = 0, pb = 0, as tools/image/disk.py packs.  The stream comes from our own
// build and its checksum has been compared, so nothing here can be out of range and nothing is
// checked.
#include <stdint.h>

enum {
    STATES = 12,
    AFTER_LITERALS = 7, // states below: the last packet was a literal
    CONTEXTS = 1 << 3,  // lc: the highest bits of the byte before a literal
    LITERAL = 0x300,
    LENGTH_CLASSES = 4, // of matches, for their distances
    SLOTS = 64,
    FULL_DISTANCES = 128,
    ALIGN_BITS = 4,
    HALF = 1024, // probabilities count in 1/2048
    MOVE = 5,
    TOP = 1 << 24,
    SHORTEST = 2,
    ONE_BYTE = 1 - SHORTEST,
};

typedef uint16_t probability;

struct lengths {
    probability choice[2], low[8], middle[8], high[256];
};

struct lzma {
    const uint8_t *next;
    uint32_t range, code;
    // From here on all probabilities.
    probability is_match[STATES], is_repeat[STATES], is_other[STATES], is_second[STATES],
        is_third[STATES], is_long[STATES];
    probability slots[LENGTH_CLASSES][SLOTS], distances[FULL_DISTANCES], align[1 << ALIGN_BITS];
    struct lengths of_matches, of_repeats;
    probability literals[CONTEXTS][LITERAL];
    probability end[];
};

__asm__(".globl unpacks\n.set unpacks, 2"); // boot.S, header

// One decision: `zero` or `one` is done.  The coder's registers are locals where it matters.
#define DECIDE(p, zero, one)                                                                       \
    do {                                                                                           \
        uint32_t likely = *(p), bound = (range >> 11) * likely;                                    \
        if (code < bound) {                                                                        \
            range = bound;                                                                         \
            *(p) = (probability)(likely + ((2 * HALF - likely) >> MOVE));                          \
            zero;                                                                                  \
        } else {                                                                                   \
            range -= bound;                                                                        \
            code -= bound;                                                                         \
            *(p) = (probability)(likely - (likely >> MOVE));                                       \
            one;                                                                                   \
        }                                                                                          \
        if (range < TOP) {                                                                         \
            range <<= 8;                                                                           \
            code = code << 8 | *next++;                                                            \
        }                                                                                          \
    } while (0)

#define LOAD                                                                                       \
    const uint8_t *next = in->next;                                                                \
    uint32_t range = in->range, code = in->code
#define STORE in->next = next, in->range = range, in->code = code

static unsigned bit(struct lzma *in, probability *p) {
    LOAD;
    unsigned value;
    DECIDE(p, value = 0, value = 1);
    STORE;
    return value;
}

// `bits` decisions, the highest first; the result has a 1 in front.
static unsigned tree(struct lzma *in, probability *p, unsigned bits) {
    LOAD;
    unsigned value = 1;
    do {
        DECIDE(p + value, value += value, value += value + 1);
    } while (--bits);
    STORE;
    return value;
}

// The same, the lowest first.
static unsigned reverse_tree(struct lzma *in, probability *p, unsigned bits) {
    unsigned value = 1, result = 0;
    for (unsigned i = 0; i < bits; i++) {
        unsigned one = bit(in, p + value);
        value += value + one;
        result |= one << i;
    }
    return result;
}

// A literal after a match is likely not to be what the match would have gone on with.
static unsigned unlike(struct lzma *in, probability *p, unsigned other) {
    LOAD;
    unsigned value = 1, offset = 0x100;
    do {
        other += other;
        unsigned place = offset + (other & offset) + value;
        DECIDE(p + place, (value += value, offset &= ~other),
               (value += value + 1, offset &= other));
    } while (value < 0x100);
    STORE;
    return value;
}

static unsigned length(struct lzma *in, struct lengths *p) {
    if (!bit(in, p->choice)) {
        return tree(in, p->low, 3) - 8;
    }
    if (!bit(in, p->choice + 1)) {
        return tree(in, p->middle, 3);
    }
    return tree(in, p->high, 8) - 0x100 + 16;
}

static uint32_t distance(struct lzma *in, unsigned length) {
    unsigned class = length < LENGTH_CLASSES ? length : LENGTH_CLASSES - 1;
    uint32_t slot = tree(in, in->slots[class], 6) - SLOTS;
    if (slot < 4) {
        return slot;
    }
    unsigned bits = (slot >> 1) - 1;
    uint32_t base = (2 | (slot & 1)) << bits;
    if (slot < 14) {
        return base + reverse_tree(in, in->distances + base - slot, bits);
    }
    LOAD;
    uint32_t direct = 0;
    for (bits -= ALIGN_BITS; bits; bits--) {
        range >>= 1;
        direct += direct;
        if (code >= range) {
            code -= range;
            direct++;
        }
        if (range < TOP) {
            range <<= 8;
            code = code << 8 | *next++;
        }
    }
    STORE;
    return base + (direct << ALIGN_BITS) + reverse_tree(in, in->align, ALIGN_BITS);
}

// Returns the end of what it wrote.
uint8_t *unpack(uint8_t *out, const uint8_t *from, struct lzma *in) {
    for (probability *p = in->is_match; p < in->end; p++) {
        *p = HALF;
    }
    in->range = ~0u;
    in->code = 0;
    for (unsigned i = 0; i < 5; i++) {
        in->code = in->code << 8 | *from++;
    }
    in->next = from;
    uint32_t last[4] = {0, 0, 0, 0}; // distances, less 1
    unsigned state = 0, before = 0;
    for (;;) {
        if (!bit(in, in->is_match + state)) {
            probability *p = in->literals[before >> 5];
            unsigned value =
                state < AFTER_LITERALS ? tree(in, p, 8) : unlike(in, p, out[-(int32_t)last[0] - 1]);
            before = value & 0xff;
            *out++ = (uint8_t)before;
            state = state < 4 ? 0 : state - (state < 10 ? 3 : 6);
            continue;
        }
        int count;
        int after_match = state >= AFTER_LITERALS;
        if (!bit(in, in->is_repeat + state)) {
            last[3] = last[2];
            last[2] = last[1];
            last[1] = last[0];
            count = (int)length(in, &in->of_matches);
            last[0] = distance(in, (unsigned)count);
            if (last[0] == ~0u) {
                return out;
            }
            state = after_match ? 10 : 7;
        } else if (!bit(in, in->is_other + state)) {
            if (bit(in, in->is_long + state)) {
                count = (int)length(in, &in->of_repeats);
                state = after_match ? 11 : 8;
            } else {
                count = ONE_BYTE;
                state = after_match ? 11 : 9;
            }
        } else {
            uint32_t found = last[1];
            if (bit(in, in->is_second + state)) {
                found = last[2];
                if (bit(in, in->is_third + state)) {
                    found = last[3];
                    last[3] = last[2];
                }
                last[2] = last[1];
            }
            last[1] = last[0];
            last[0] = found;
            count = (int)length(in, &in->of_repeats);
            state = after_match ? 11 : 8;
        }
        const uint8_t *copy = out - last[0] - 1;
        count += SHORTEST;
        do {
            *out++ = *copy++;
        } while (--count);
        before = out[-1];
    }
}
