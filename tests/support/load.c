/* load: send datagrams to a UDP port and account for every answer.
 *
 *   load ADDRESS PORT window|burst COUNT OUTSTANDING dns|echo|id < datagrams
 *
 * Standard input: datagrams, each behind its length (u16, network order); they are sent in turn,
 * the first two bytes replaced by a number that the answer must repeat (the ID of a DNS message).
 * window: OUTSTANDING datagrams are always under way. burst: OUTSTANDING at once, the next ones
 * when all are answered.
 *
 * When nothing comes for a second, "silence" is said on standard error, once. window: that is a
 * stall: what is under way counts as lost, and it goes on with the next. burst: more patience; what
 * still comes, although nothing is sent meanwhile, comes from a late host and counts as such, and
 * only what does not is a stall. Standard output: one line of JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_OUTSTANDING = 64, MAX_DATAGRAM = 2048, SILENCE_MS = 1000, PATIENCE_MS = 20000 };

static unsigned char stock[64 << 20];
static unsigned char *datagram[1 << 20];
static int length[1 << 20];
static int stock_count;

static unsigned char out[MAX_OUTSTANDING][MAX_DATAGRAM];
static unsigned char in[MAX_OUTSTANDING][MAX_DATAGRAM];
static struct mmsghdr out_message[MAX_OUTSTANDING], in_message[MAX_OUTSTANDING];
static struct iovec out_vector[MAX_OUTSTANDING], in_vector[MAX_OUTSTANDING];

/* What is under way, by its number modulo 65536; -1: nothing. */
static int under_way[65536];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void read_stock(void) {
    size_t size = fread(stock, 1, sizeof stock, stdin);
    for (size_t at = 0; at + 2 <= size;) {
        int n = stock[at] << 8 | stock[at + 1];
        if (at + 2 + n > size || n < 2 || n > MAX_DATAGRAM || stock_count == 1 << 20) {
            fprintf(stderr, "load: bad datagram at byte %zu\n", at);
            exit(2);
        }
        datagram[stock_count] = stock + at + 2;
        length[stock_count++] = n;
        at += 2 + n;
    }
    if (stock_count == 0) {
        fprintf(stderr, "load: no datagrams on standard input\n");
        exit(2);
    }
}

enum { DNS = 'd', ECHO = 'e', ID = 'i' };

/* DNS: a response without error, with an answer. Echo: the same bytes. ID: any response. */
static int is_right(int check, const unsigned char *answer, int n, int from) {
    if (check == ID)
        return 1;
    if (check == DNS)
        return n >= 12 && (answer[2] & 0x80) && (answer[3] & 15) == 0 && (answer[6] | answer[7]);
    return n == length[from] && memcmp(answer + 2, datagram[from] + 2, n - 2) == 0;
}

int main(int argc, char **argv) {
    if (argc != 7) {
        fprintf(stderr, "usage: load ADDRESS PORT window|burst COUNT OUTSTANDING dns|echo|id\n");
        return 2;
    }
    long count = atol(argv[4]);
    int most = atoi(argv[5]);
    int burst = strcmp(argv[3], "burst") == 0;
    int check = argv[6][0];
    if (most < 1 || most > MAX_OUTSTANDING)
        return 2;
    read_stock();
    memset(under_way, -1, sizeof under_way);

    int s = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &to.sin_addr);
    if (connect(s, (struct sockaddr *)&to, sizeof to)) {
        perror("load: connect");
        return 2;
    }
    for (int i = 0; i < MAX_OUTSTANDING; i++) {
        out_vector[i].iov_base = out[i];
        in_vector[i].iov_base = in[i];
        in_vector[i].iov_len = MAX_DATAGRAM;
        out_message[i].msg_hdr = (struct msghdr){.msg_iov = &out_vector[i], .msg_iovlen = 1};
        in_message[i].msg_hdr = (struct msghdr){.msg_iov = &in_vector[i], .msg_iovlen = 1};
    }

    long sent = 0, right = 0, wrong = 0, strange = 0, lost = 0, stalls = 0, late = 0, refused = 0;
    int pending = 0;
    double start = now();
    while (sent < count || pending) {
        int room = burst ? (pending ? 0 : most) : most - pending;
        if (room > count - sent)
            room = count - sent;
        for (int i = 0; i < room; i++) {
            int from = (sent + i) % stock_count;
            unsigned number = (sent + i) & 0xffff;
            memcpy(out[i], datagram[from], length[from]);
            out[i][0] = number >> 8;
            out[i][1] = number;
            out_vector[i].iov_len = length[from];
            under_way[number] = from;
        }
        for (int done = 0; done < room;) {
            int n = sendmmsg(s, out_message + done, room - done, 0);
            if (n < 0) {
                /* An ICMP error that arrived before: the port is closed, the host unknown. */
                if (++refused > 100) {
                    perror("load: send");
                    return 1;
                }
                continue;
            }
            done += n;
        }
        sent += room;
        pending += room;

        struct pollfd wait = {.fd = s, .events = POLLIN};
        int ready = poll(&wait, 1, SILENCE_MS);
        if (ready == 0) {
            fprintf(stderr, "silence\n");
            if (burst && (ready = poll(&wait, 1, PATIENCE_MS)))
                late++;
        }
        if (ready == 0) {
            stalls++;
            lost += pending;
            pending = 0;
            memset(under_way, -1, sizeof under_way);
            continue;
        }
        int n = recvmmsg(s, in_message, MAX_OUTSTANDING, MSG_DONTWAIT, NULL);
        if (n < 0 && ++refused > 100) {
            perror("load: receive");
            return 1;
        }
        for (int i = 0; i < n; i++) {
            int bytes = in_message[i].msg_len;
            unsigned number = in[i][0] << 8 | in[i][1];
            if (bytes < 2 || under_way[number] < 0) {
                strange++;
                continue;
            }
            if (is_right(check, in[i], bytes, under_way[number]))
                right++;
            else
                wrong++;
            under_way[number] = -1;
            pending--;
        }
    }
    printf("{\"sent\": %ld, \"right\": %ld, \"wrong\": %ld, \"strange\": %ld, \"lost\": %ld, "
           "\"stalls\": %ld, \"late\": %ld, \"refused\": %ld, \"seconds\": %.6f}\n",
           sent, right, wrong, strange, lost, stalls, late, refused, now() - start);
    return 0;
}
