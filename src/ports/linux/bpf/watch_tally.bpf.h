/* Hits that are alike, counted where they happen.
 *
 * Alike are those of one thread, slot, instruction and stack. The first one goes to the reader like
 * any hit, and tells under which key the others will be counted. A thread is on one CPU at a time
 * (thread 0 of each CPU counts for itself), so that nobody else writes to its tallies meanwhile.
 * What finds no room, neither for its key nor for its stack, goes to the reader one by one. */
#pragma once

#include "kernel_types.bpf.h"
#include "thread_slots.bpf.h"
#include "value_order.h"
#include "watch_record.h"

/* Both have one entry where nothing is tallied. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, TRAPLINE_MAX_TALLIES);
  __type(key, struct trapline_tally_key);
  __type(value, struct trapline_tally);
} tallies SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_STACK_TRACE);
  __uint(max_entries, TRAPLINE_MAX_TALLIES);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, TRAPLINE_MAX_FRAMES * sizeof(__u64));
} tallied_stacks SEC(".maps");

/* False: its stack has no number. */
static __always_inline int make_tally_key(struct bpf_perf_event_data* context,
                                          const struct trapline_hit_record* record,
                                          struct trapline_tally_key* key) {
  key->pid = record->pid;
  key->tid = record->tid;
  key->slot = record->slot;
  key->idle_cpu = record->tid == 0 ? record->cpu : 0;
  key->ip = record->ip;
  key->user_stack = key->kernel_stack = 0;
  if (!config.walks_stack) return 1;
  if (record->flags & TRAPLINE_HAS_USER)
    key->user_stack = bpf_get_stackid(context, &tallied_stacks, BPF_F_USER_STACK);
  if (record->flags & TRAPLINE_IN_KERNEL)
    key->kernel_stack = bpf_get_stackid(context, &tallied_stacks, 0);
  return key->user_stack >= 0 && key->kernel_stack >= 0;
}

static __always_inline void add_to_range(struct trapline_tally* tally,
                                         const struct trapline_hit_record* record) {
  if (!(record->flags & TRAPLINE_NEW_KNOWN) || record->slot >= TRAPLINE_MAX_SLOTS) return;
  const __u32 length = slot_at(record->slot).value_length;
  if (!trapline_has_place(record->new_value, config.value_order, length)) return;
  const __u64 place = trapline_place_of(record->new_value, config.value_order, length);
  if (tally->value_length == 0 || place < tally->lowest) tally->lowest = place;
  if (tally->value_length == 0 || place > tally->highest) tally->highest = place;
  tally->value_length = length;
}

static __always_inline void add_to_tally(struct trapline_tally* tally,
                                         const struct trapline_hit_record* record) {
  const __u64 now = bpf_ktime_get_ns();
  if (tally->count == 0) tally->first = now;
  tally->last = now;
  ++tally->count;
  const __u32 word = record->cpu / 64;
  if (word < TRAPLINE_CPU_WORDS) tally->cpus[word] |= 1ull << (record->cpu % 64);
  add_to_range(tally, record);
}

/* True: the hit is counted, and nobody else has to be told of it. Else, if its flags say
 * TRAPLINE_OPENS_TALLY, those like it will be counted once it has been written. */
static __always_inline int tally_hit(struct bpf_perf_event_data* context,
                                     struct trapline_hit_record* record) {
  if (!make_tally_key(context, record, &record->tally)) return 0;
  struct trapline_tally* tally = bpf_map_lookup_elem(&tallies, &record->tally);
  if (tally != NULL) {
    add_to_tally(tally, record);
    return 1;
  }
  static const struct trapline_tally nothing;
  if (bpf_map_update_elem(&tallies, &record->tally, &nothing, BPF_NOEXIST) == 0)
    record->flags |= TRAPLINE_OPENS_TALLY;
  return 0;
}

/* The record that opens it could not be written: the next hit like it tries again. */
static __always_inline void take_tally_back(const struct trapline_hit_record* record) {
  if (record->flags & TRAPLINE_OPENS_TALLY) bpf_map_delete_elem(&tallies, &record->tally);
}
