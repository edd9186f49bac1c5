/* The conditions of a watch as the BPF programs evaluate them, at the hit. The meaning is that of
 * trapline::evaluate(), for all that can be told in the kernel: what fails here fails there.
 *
 * Between a store and the program that reads what it left, another thread may store: then its value
 * is seen twice and the first one's never. The reader can do better, from the store's instruction
 * and registers. So where another thread has just hit the same bytes, values decide nothing here.
 * (The first two of such threads can still meet unnoticed.)
 *
 * Plain C: compiled for BPF and, to be tested against evaluate(), for the host. The verifier knows
 * the filter's contents, which are written before the programs are loaded, and takes out what they
 * do not use. */
#pragma once

#include <linux/types.h>

/* NOLINTBEGIN(readability-identifier-naming): the names are C's */
enum {
  /* Others are judged by the reader alone. */
  TRAPLINE_MAX_CONDITIONS = 8,
  /* For how long a hit of another thread is just now. A trap takes 1 us, under a hypervisor 10. */
  TRAPLINE_CONTENTION_NS = 20000,
};

/* The values of trapline::HitField and Term::Reading. */
enum trapline_field {
  TRAPLINE_NUMBER, /* none: the number itself */
  TRAPLINE_OLD_VALUE,
  TRAPLINE_NEW_VALUE,
  TRAPLINE_TID,
  TRAPLINE_PID,
  TRAPLINE_CPU,
};
enum trapline_reading {
  TRAPLINE_UNSIGNED_BITS,
  TRAPLINE_SIGNED_BITS,
  TRAPLINE_FLOATING,
};

/* How the left side can stand to the right one. A comparison is the set of those it holds for. */
enum trapline_order {
  TRAPLINE_LESS = 1,
  TRAPLINE_EQUAL = 2,
  TRAPLINE_GREATER = 4,
  TRAPLINE_UNORDERED = 8, /* one of them is a NaN */
};

/* One side. */
struct trapline_term {
  __u64 bits;     /* the mask of a field; the number itself, two's complement where negative */
  __u64 infinity; /* TRAPLINE_FLOATING: what is more than its bits is a NaN */
  __u8 field;
  __u8 reading;
  __u8 negative; /* the number is */
  __u8 unused[5];
};

struct trapline_condition {
  struct trapline_term left;
  struct trapline_term right;
  __u64 name[2]; /* not 0: the thread's name is compared with these bytes, and nothing else */
  __u32 accepts; /* a set of trapline_order */
  __u32 unused;
};

struct trapline_filter {
  struct trapline_condition conditions[TRAPLINE_MAX_CONDITIONS];
  __u32 count;
  __u8 needs_name;
  __u8 needs_values;
  __u8 unused[2];
};

/* What is known of a hit when it is judged. */
struct trapline_facts {
  __u64 old_value; /* no bits beyond the value's length */
  __u64 new_value;
  __u64 name[2]; /* of the thread, padded with zeros */
  __u32 tid;
  __u32 pid;
  __u32 cpu;
  __u8 old_known;
  __u8 new_known;
  __u8 is_first; /* nothing has hit since the watch began, so that nobody knows old_value here */
  __u8 is_contended; /* another thread hit the same bytes just now */
};

/* --- the evaluation --- */

struct trapline_number {
  __u64 bits;
  __u8 negative;
  __u8 is_nan;
};

static inline __attribute__((always_inline)) int trapline_is_known(
    const volatile struct trapline_term* term, const struct trapline_facts* facts) {
  if (term->field == TRAPLINE_OLD_VALUE) return facts->old_known && !facts->is_contended;
  if (term->field == TRAPLINE_NEW_VALUE) return facts->new_known && !facts->is_contended;
  return 1;
}

static inline __attribute__((always_inline)) __u64
trapline_field_bits(const volatile struct trapline_term* term, const struct trapline_facts* facts) {
  switch (term->field) {
    case TRAPLINE_OLD_VALUE:
      return facts->old_value & term->bits;
    case TRAPLINE_NEW_VALUE:
      return facts->new_value & term->bits;
    case TRAPLINE_TID:
      return facts->tid & term->bits;
    case TRAPLINE_PID:
      return facts->pid & term->bits;
    default:
      return facts->cpu & term->bits;
  }
}

static inline __attribute__((always_inline)) struct trapline_number trapline_read(
    const volatile struct trapline_term* term, const struct trapline_facts* facts) {
  const __u64 mask = term->bits;
  struct trapline_number number = {mask, term->negative, 0};
  if (term->field == TRAPLINE_NUMBER) return number;
  number.bits = trapline_field_bits(term, facts);
  number.negative = 0;
  if (term->reading == TRAPLINE_UNSIGNED_BITS) return number;
  const __u64 sign = mask ^ (mask >> 1);
  const int has_sign = (number.bits & sign) != 0;
  if (term->reading == TRAPLINE_SIGNED_BITS) {
    if (!has_sign) return number;
    number.bits |= ~mask;
    number.negative = 1;
    return number;
  }
  /* Floating-point numbers of one sign are in the order of the rest of their bits; -0 is 0. */
  number.bits &= ~sign;
  number.is_nan = number.bits > term->infinity;
  if (has_sign && number.bits != 0) {
    number.bits = ~number.bits + 1;
    number.negative = 1;
  }
  return number;
}

static inline __attribute__((always_inline)) __u32 trapline_order_of(struct trapline_number left,
                                                                     struct trapline_number right) {
  if (left.is_nan || right.is_nan) return TRAPLINE_UNORDERED;
  if (left.negative != right.negative) return left.negative ? TRAPLINE_LESS : TRAPLINE_GREATER;
  if (left.bits == right.bits) return TRAPLINE_EQUAL;
  return left.bits < right.bits ? TRAPLINE_LESS : TRAPLINE_GREATER;
}

/* Certainly: what is not known decides nothing. */
static inline __attribute__((always_inline)) int trapline_fails(
    const volatile struct trapline_condition* condition, const struct trapline_facts* facts) {
  if (condition->name[0] != 0) {
    if (facts->name[0] == 0) return 0;
    const int is_same =
        facts->name[0] == condition->name[0] && facts->name[1] == condition->name[1];
    return (condition->accepts & (is_same ? TRAPLINE_EQUAL : TRAPLINE_UNORDERED)) == 0;
  }
  if (!trapline_is_known(&condition->left, facts) || !trapline_is_known(&condition->right, facts))
    return 0;
  const __u32 order = trapline_order_of(trapline_read(&condition->left, facts),
                                        trapline_read(&condition->right, facts));
  return (condition->accepts & order) == 0;
}

static inline __attribute__((always_inline)) int trapline_rejects(
    const volatile struct trapline_filter* filter, const struct trapline_facts* facts) {
  for (__u32 i = 0; i < TRAPLINE_MAX_CONDITIONS; ++i) {
    if (i >= filter->count) break;
    if (trapline_fails(&filter->conditions[i], facts)) return 1;
  }
  return 0;
}
/* NOLINTEND(readability-identifier-naming) */
