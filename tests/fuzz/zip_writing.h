/* floor 6.1 - zip writing: puts a pickle into an archive like those of torch.save. */
#ifndef PF_ZIP_WRITING_H
#define PF_ZIP_WRITING_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct zip_image {
    uint8_t *bytes, *directory;
    size_t size, directory_size;
    unsigned n;
} zip_image;

static inline uint32_t zip_crc(const uint8_t *bytes, size_t size) {
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    return ~crc;
}

static inline void zip_put(uint8_t **at, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) *(*at)++ = (uint8_t)(value >> 8 * i);
}

/* The fields that a local header and a directory entry share, from the version on. */
static inline void zip_put_entry(uint8_t **at, uint32_t crc, uint32_t size, size_t name_size) {
    zip_put(at, 10, 2); /* version 1.0 */
    zip_put(at, 0, 4);  /* no flags; stored */
    zip_put(at, 0, 4);  /* no time */
    zip_put(at, crc, 4);
    zip_put(at, size, 4);
    zip_put(at, size, 4);
    zip_put(at, (uint32_t)name_size, 2);
    zip_put(at, 0, 2); /* no extra field */
}

static inline void zip_add(zip_image *zip, const char *name, const void *bytes, size_t size) {
    size_t name_size = strlen(name);
    uint32_t crc = zip_crc(bytes, size), offset = (uint32_t)zip->size;
    uint8_t *at = zip->bytes + zip->size;
    zip_put(&at, 0x04034b50, 4);
    zip_put_entry(&at, crc, (uint32_t)size, name_size);
    memcpy(at, name, name_size);
    at += name_size;
    if (size) memcpy(at, bytes, size);
    zip->size = (size_t)(at - zip->bytes) + size;
    at = zip->directory + zip->directory_size;
    zip_put(&at, 0x02014b50, 4);
    zip_put(&at, 10, 2);
    zip_put_entry(&at, crc, (uint32_t)size, name_size);
    zip_put(&at, 0, 4); /* no comment, disk 0 */
    zip_put(&at, 0, 6); /* no attributes */
    zip_put(&at, offset, 4);
    memcpy(at, name, name_size);
    zip->directory_size = (size_t)(at - zip->directory) + name_size;
    zip->n++;
}

/* Returns the archive of the pickle and two storages, "0" (256 float32) and "1" (empty); free
 * it. */
static inline uint8_t *zip_of_pickle(const uint8_t *pickle, size_t size, size_t *archive) {
    static const float storage[256] = {1, -2, 0.5f, 3};
    zip_image zip = {.bytes = malloc(size + 4096), .directory = malloc(1024)};
    if (!zip.bytes || !zip.directory) abort();
    zip_add(&zip, "m/data.pkl", pickle, size);
    zip_add(&zip, "m/data/0", storage, sizeof storage);
    zip_add(&zip, "m/data/1", storage, 0);
    uint32_t offset = (uint32_t)zip.size;
    memcpy(zip.bytes + zip.size, zip.directory, zip.directory_size);
    uint8_t *at = zip.bytes + zip.size + zip.directory_size;
    zip_put(&at, 0x06054b50, 4);
    zip_put(&at, 0, 4);
    zip_put(&at, zip.n, 2);
    zip_put(&at, zip.n, 2);
    zip_put(&at, (uint32_t)zip.directory_size, 4);
    zip_put(&at, offset, 4);
    zip_put(&at, 0, 2);
    free(zip.directory);
    *archive = (size_t)(at - zip.bytes);
    return zip.bytes;
}

#endif
