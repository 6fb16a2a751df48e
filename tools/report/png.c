/* floor 5.3 - png: a small picture of up to 16 colours, as a data: address. */
#include "png.h"

#include "memory.h"

#include <string.h>

enum { MOST_STORED = 65535 }; /* bytes in one stored block of deflate (RFC 1951, 3.2.4) */

/* The file being put together. */
typedef struct bytes {
    uint8_t *data;
    size_t used;
} bytes;

static void put(bytes *b, const void *data, size_t n) {
    memcpy(b->data + b->used, data, n);
    b->used += n;
}

static void put_u32(bytes *b, uint32_t value) {
    uint8_t big[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                      (uint8_t)value};
    put(b, big, 4);
}

/* CRC-32 of PNG, annex D. */
static uint32_t crc(const uint8_t *data, size_t n) {
    uint32_t c = 0xFFFFFFFF;
    for (size_t i = 0; i < n; i++) {
        c ^= data[i];
        for (int bit = 0; bit < 8; bit++) c = c & 1 ? 0xEDB88320 ^ (c >> 1) : c >> 1;
    }
    return ~c;
}

/* Adler-32 of zlib (RFC 1950). */
static uint32_t adler(const uint8_t *data, size_t n) {
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < n; i++) {
        a = (a + data[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

/* A chunk's length and name; its data follows, then end_chunk. Returns where the name stands. */
static size_t begin_chunk(bytes *b, const char *name, size_t n) {
    put_u32(b, (uint32_t)n);
    put(b, name, 4);
    return b->used - 4;
}

static void end_chunk(bytes *b, size_t name) { put_u32(b, crc(b->data + name, b->used - name)); }

static void put_header(bytes *b, size_t width, size_t height) {
    static const uint8_t kind[] = {4, 3, 0, 0, 0}; /* 4 bits a pixel, palette; plain all else */
    size_t name = begin_chunk(b, "IHDR", 13);
    put_u32(b, (uint32_t)width);
    put_u32(b, (uint32_t)height);
    put(b, kind, sizeof kind);
    end_chunk(b, name);
}

static void put_palette(bytes *b, const png_palette *palette) {
    size_t name = begin_chunk(b, "PLTE", (size_t)3 * PNG_COLOURS);
    for (size_t i = 0; i < PNG_COLOURS; i++) put(b, palette->rgba[i], 3);
    end_chunk(b, name);
    name = begin_chunk(b, "tRNS", PNG_COLOURS);
    for (size_t i = 0; i < PNG_COLOURS; i++) put(b, palette->rgba[i] + 3, 1);
    end_chunk(b, name);
}

/* rows [n bytes] as a zlib stream of stored blocks. */
static void put_rows(bytes *b, const uint8_t *rows, size_t n) {
    size_t blocks = (n + MOST_STORED - 1) / MOST_STORED;
    size_t name = begin_chunk(b, "IDAT", 2 + 5 * blocks + n + 4);
    put(b, "\x78\x01", 2);
    for (size_t done = 0; done < n;) {
        size_t size = n - done < MOST_STORED ? n - done : MOST_STORED;
        uint8_t head[5] = {done + size == n, (uint8_t)size, (uint8_t)(size >> 8), (uint8_t)~size,
                           (uint8_t)(~size >> 8)};
        put(b, head, 5);
        put(b, rows + done, size);
        done += size;
    }
    put_u32(b, adler(rows, n));
    end_chunk(b, name);
}

void png_data_address(html *p, const uint8_t *pixels, size_t width, size_t height,
                      const png_palette *palette) {
    size_t row = 1 + (width + 1) / 2, n = row * height; /* a filter byte, then two pixels a byte */
    uint8_t *rows = pf_calloc(n, 1, "a picture", &p->error);
    bytes b = {pf_calloc(n + n / MOST_STORED * 5 + 512, 1, "a picture", &p->error), 0};
    if (rows && b.data) {
        for (size_t y = 0; y < height; y++)
            for (size_t x = 0; x < width; x++)
                rows[y * row + 1 + x / 2] |= (uint8_t)(pixels[y * width + x] << (x % 2 ? 0 : 4));
        put(&b, "\x89PNG\r\n\x1a\n", 8);
        put_header(&b, width, height);
        put_palette(&b, palette);
        put_rows(&b, rows, n);
        end_chunk(&b, begin_chunk(&b, "IEND", 0));
        html_bytes(p, "data:image/png;base64,", 22);
        html_base64(p, b.data, b.used);
    } else {
        p->failed = true;
    }
    pf_free(rows);
    pf_free(b.data);
}
