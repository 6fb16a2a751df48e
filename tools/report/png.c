/* floor 5.3 - png: a small picture of up to 256 colours, as a data: URL. */
#include "png.h"

#include "memory.h"

#include <string.h>
#include <zlib.h>

enum {
    AROUND_ROWS = 96 + 4 * PNG_MOST_COLOURS /* bytes of the file besides the compressed rows */
};

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

/* Length, name, data, and the CRC of name and data. */
static void put_chunk(bytes *b, const char *name, const uint8_t *data, size_t n) {
    put_u32(b, (uint32_t)n);
    size_t begin = b->used;
    put(b, name, 4);
    put(b, data, n);
    put_u32(b, (uint32_t)crc32(0, b->data + begin, (uInt)(b->used - begin)));
}

static size_t bits_of(const png_palette *palette) { return palette->n <= 16 ? 4 : 8; }

static void put_header(bytes *b, size_t width, size_t height, size_t bits) {
    const uint8_t format[] = {(uint8_t)bits, 3, 0, 0, 0}; /* bits a pixel, palette; defaults */
    uint8_t data[13];
    bytes header = {data, 0};
    put_u32(&header, (uint32_t)width);
    put_u32(&header, (uint32_t)height);
    put(&header, format, sizeof format);
    put_chunk(b, "IHDR", data, sizeof data);
}

static void put_palette(bytes *b, const png_palette *palette) {
    uint8_t rgb[3 * PNG_MOST_COLOURS], alpha[PNG_MOST_COLOURS];
    for (size_t i = 0; i < palette->n; i++) {
        memcpy(rgb + 3 * i, palette->rgba[i], 3);
        alpha[i] = palette->rgba[i][3];
    }
    put_chunk(b, "PLTE", rgb, 3 * palette->n);
    put_chunk(b, "tRNS", alpha, palette->n);
}

static voidpf allocate(voidpf error, uInt count, uInt size) {
    return pf_calloc(count, size, "a picture", error);
}

static void release(voidpf error, voidpf block) {
    (void)error;
    pf_free(block);
}

/* rows [n] as a zlib stream [*packed_size]; NULL without memory. Free with pf_free. */
static uint8_t *pack(uint8_t *rows, size_t n, size_t *packed_size, pf_error *error) {
    z_stream stream = {.zalloc = allocate, .zfree = release, .opaque = error};
    if (deflateInit(&stream, Z_DEFAULT_COMPRESSION) != Z_OK) return NULL;
    uLong room = deflateBound(&stream, (uLong)n);
    uint8_t *packed = pf_calloc(room, 1, "a picture", error);
    if (packed) {
        stream.next_in = rows;
        stream.avail_in = (uInt)n;
        stream.next_out = packed;
        stream.avail_out = (uInt)room;
        deflate(&stream, Z_FINISH); /* room for the whole stream: one call ends it */
        *packed_size = stream.total_out;
    }
    deflateEnd(&stream);
    return packed;
}

void png_data_address(html *p, const uint8_t *pixels, size_t width, size_t height,
                      const png_palette *palette) {
    size_t bits = bits_of(palette), row = 1 + (width * bits + 7) / 8; /* a filter byte first */
    size_t n = row * height;
    size_t packed_size = 0;
    uint8_t *rows = pf_calloc(n, 1, "a picture", &p->error), *packed = NULL;
    bytes b = {0};
    for (size_t y = 0; rows && y < height; y++)
        for (size_t x = 0; x < width; x++)
            rows[y * row + 1 + x * bits / 8] |=
                (uint8_t)(pixels[y * width + x] << (8 - bits - x * bits % 8));
    if (rows) packed = pack(rows, n, &packed_size, &p->error);
    if (packed) b.data = pf_calloc(packed_size + AROUND_ROWS, 1, "a picture", &p->error);
    if (b.data) {
        put(&b, "\x89PNG\r\n\x1a\n", 8);
        put_header(&b, width, height, bits);
        put_palette(&b, palette);
        put_chunk(&b, "IDAT", packed, packed_size);
        put_chunk(&b, "IEND", packed, 0);
        html_bytes(p, "data:image/png;base64,", 22);
        html_base64(p, b.data, b.used);
    } else {
        p->failed = true;
    }
    pf_free(rows);
    pf_free(packed);
    pf_free(b.data);
}
