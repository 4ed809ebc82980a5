/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_keystream.c - the block function against published test vectors; what a stream
 * promises; check words, whose hash is compared with CPython's of bytes
 * (PYTHONHASHSEED=0, sys.hash_info.algorithm siphash13).
 */
#include "unit.h"

#include "check_word.h"
#include "keystream.h"

/* RFC 8439, 2.3.2. */
static void block_is_chacha20(void **state)
{
    (void)state;
    uint32_t block[KEYSTREAM_BLOCK] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574,
                                       0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c,
                                       0x13121110, 0x17161514, 0x1b1a1918, 0x1f1e1d1c,
                                       0x00000001, 0x09000000, 0x4a000000, 0x00000000};
    static const uint32_t expected[KEYSTREAM_BLOCK] = {
        0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3, 0xc7f4d1c7, 0x0368c033,
        0x9aaa2204, 0x4e6cd4c3, 0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9,
        0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2};
    keystream_block(block, 20);
    assert_memory_equal(block, expected, sizeof(expected));
}

/* draft-strombergson-chacha-test-vectors-01, TC1: ChaCha8, a key of zeros; the second half
 * of its first block. */
static void stream_is_chacha8(void **state)
{
    (void)state;
    static const uint32_t zeros[KEYSTREAM_WORDS];
    static const uint32_t expected[KEYSTREAM_WORDS] = {0x72e14c98, 0x416f21b9, 0x6753449f,
                                                       0x19566d45, 0xa3424a31, 0x01b086da,
                                                       0xb8fd7b38, 0x42fe0c0e};
    struct keystream stream;
    keystream_init(&stream, zeros);
    for (unsigned i = 0; i < KEYSTREAM_WORDS; i++)
        assert_int_equal(keystream_draw(&stream), expected[i]);
}

/* What was drawn is not in the state any more. */
static void drawn_numbers_are_wiped(void **state)
{
    (void)state;
    static const uint32_t seed[KEYSTREAM_WORDS] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct keystream stream;
    keystream_init(&stream, seed);
    assert_memory_equal(stream.key, seed, sizeof(seed));
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t drawn = keystream_draw(&stream);
        const uint32_t *words = (const uint32_t *)&stream;
        for (size_t j = 0; drawn != 0 && j < sizeof(stream) / sizeof(*words); j++)
            assert_int_not_equal(words[j], drawn);
        for (unsigned j = 0; j < KEYSTREAM_WORDS; j++)
            assert_int_not_equal(stream.key[j], seed[j]);
    }
}

static void numbers_below_are_even(void **state)
{
    (void)state;
    enum { BELOW = 10, DRAWS = 100000 };
    static const uint32_t seed[KEYSTREAM_WORDS] = {42};
    struct keystream stream;
    keystream_init(&stream, seed);
    unsigned count[BELOW] = {0};
    for (unsigned i = 0; i < DRAWS; i++)
        count[keystream_below(keystream_draw(&stream), BELOW)]++;
    /* The seed is fixed, so this holds always or never. */
    for (unsigned i = 0; i < BELOW; i++)
        assert_in_range(count[i], DRAWS / BELOW * 95 / 100, DRAWS / BELOW * 105 / 100);
    assert_int_equal(keystream_below(0, BELOW), 0);
    assert_int_equal(keystream_below(UINT32_MAX, BELOW), BELOW - 1);
}

static void hash_is_siphash(void **state)
{
    (void)state;
    static const uint64_t key[2];
    assert_true(check_word_hash(key, 0x0706050403020100, 0x0f0e0d0c0b0a0908) == 0x8972188433a5c5b7);
}

static void check_words(void **state)
{
    (void)state;
    struct check_secret secret = {.key = {0x1234, 0x5678}, .fill = 0xa5};
    for (unsigned unused = 0; unused < 5000; unused++) {
        uint64_t word = check_word_make(&secret, 0x7000000000, unused);
        assert_int_equal(check_word_unused(&secret, word), unused);
        assert_true(word != check_word_make(&secret, 0x7000000010, unused));
        assert_true(word != check_word_make(&secret, 0x7000000000, CHECK_WORD_FREE));
        struct check_secret other = secret;
        other.key[1]++;
        assert_true(word >> 16 != check_word_make(&other, 0x7000000000, unused) >> 16);
        /* A change of any bit is found. */
        for (unsigned bit = 0; bit < 64; bit++) {
            uint64_t changed = word ^ (uint64_t)1 << bit;
            unsigned says = check_word_unused(&secret, changed);
            assert_true(check_word_make(&secret, 0x7000000000, says) != changed);
        }
    }
    /* A string's end that runs over an object without unused bytes changes the word. */
    for (unsigned fill = 1; fill <= UINT8_MAX; fill++) {
        secret.fill = (uint8_t)fill;
        uint64_t word = check_word_make(&secret, 0x7000000000, 0);
        assert_int_not_equal(*(const unsigned char *)&word, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block_is_chacha20),       cmocka_unit_test(stream_is_chacha8),
        cmocka_unit_test(drawn_numbers_are_wiped), cmocka_unit_test(numbers_below_are_even),
        cmocka_unit_test(hash_is_siphash),         cmocka_unit_test(check_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
