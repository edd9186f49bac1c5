/* Values as numbers whose order is that of the values: as the BPF programs compare them and as
 * their reader turns them back. Plain C: compiled for BPF and for the host. */
#pragma once

#include <linux/types.h>

/* NOLINTBEGIN(readability-identifier-naming): the names are C's */

/* The values of trapline::linux_port::ValueOrder. */
enum trapline_value_order {
  TRAPLINE_NO_ORDER,
  TRAPLINE_UNSIGNED_ORDER,
  TRAPLINE_SIGNED_ORDER,
  TRAPLINE_FLOATING_ORDER, /* of 4 or 8 bytes */
};

/* The highest bit of a value of `length` bytes, 1 to 8. */
static inline __attribute__((always_inline)) __u64 trapline_sign_bit(__u32 length) {
  return 1ull << (length * 8 - 1);
}

/* Whether a value has a place in the order: a NaN has none. No bits beyond the value's length. */
static inline __attribute__((always_inline)) int trapline_has_place(__u64 value, __u32 order,
                                                                    __u32 length) {
  if (order != TRAPLINE_FLOATING_ORDER) return order != TRAPLINE_NO_ORDER;
  /* IEEE 754: the exponent of infinity, and no fraction */
  const __u64 infinity = length == 4 ? 0x7f800000ull : 0x7ff0000000000000ull;
  return (value & ~trapline_sign_bit(length)) <= infinity;
}

static inline __attribute__((always_inline)) __u64 trapline_place_of(__u64 value, __u32 order,
                                                                     __u32 length) {
  const __u64 sign = trapline_sign_bit(length);
  if (order == TRAPLINE_UNSIGNED_ORDER) return value;
  if (order == TRAPLINE_FLOATING_ORDER && (value & sign))
    return ~value & (sign | (sign - 1)); /* the larger its bits, the smaller a negative one is */
  return value ^ sign;
}

static inline __attribute__((always_inline)) __u64 trapline_value_at(__u64 place, __u32 order,
                                                                     __u32 length) {
  const __u64 sign = trapline_sign_bit(length);
  if (order == TRAPLINE_UNSIGNED_ORDER) return place;
  if (order == TRAPLINE_FLOATING_ORDER && !(place & sign)) return ~place & (sign | (sign - 1));
  return place ^ sign;
}
/* NOLINTEND(readability-identifier-naming) */
