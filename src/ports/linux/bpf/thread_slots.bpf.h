/* Which slots of a watch a thread has in its list of events, with the program on them.
 *
 * Inheritance is settled before anybody can see the thread, so that the answer for one that is
 * there changes only by what trapline opens for it itself. (A thread and its child may swap their
 * lists when one follows the other on a CPU; the lists are alike then.)
 *
 * Sources: kernel/events/core.c, perf_event_init_task and inherit_event. */
#pragma once

#include "kernel_types.bpf.h"
#include "watch_record.h"

/* The watch's configuration and its program of hits: defined by the includer. */
extern const volatile struct trapline_watch_config config;

/* As the kernel numbers it; written once it is loaded. */
__u32 hit_program_id;

enum { MAX_EVENTS_LOOKED_AT = 128 };

/* Of a watch of the whole machine, where slots come and go: instead of the configuration's. One is
 * changed only while there is no event for it, but for its epoch. */
struct trapline_slot machine_slots[TRAPLINE_MAX_SLOTS];

struct thread_slots {
  __u32 watched; /* bits */
  /* A slot was inherited from an event that had no program yet, of this thread; else 0. */
  __u32 without_program_from;
};

static __always_inline int find_slot(__u64 address) {
  for (__u32 slot = 0; slot < TRAPLINE_MAX_SLOTS; ++slot) {
    if (slot >= config.slot_count) break;
    if (config.whole_machine) {
      if (machine_slots[slot].value_length != 0 && machine_slots[slot].address == address)
        return (int)slot;
    } else if (config.slots[slot].address == address) {
      return (int)slot;
    }
  }
  return -1;
}

/* What find_slot() found. */
static __always_inline struct trapline_slot slot_at(__u32 slot) {
  struct trapline_slot copy = {};
  if (slot >= TRAPLINE_MAX_SLOTS) return copy;
  const volatile struct trapline_slot* found =
      config.whole_machine ? &machine_slots[slot] : &config.slots[slot];
  copy.value_address = found->value_address;
  copy.value_length = found->value_length;
  copy.shadow = found->shadow;
  copy.epoch = found->epoch;
  return copy;
}

static __always_inline void look_at_event(struct perf_event* event, struct thread_slots* found) {
  if (BPF_CORE_READ(event, attr.type) != PERF_TYPE_BREAKPOINT) return;
  const int slot = find_slot(BPF_CORE_READ(event, attr.bp_addr));
  if (slot < 0) return;
  struct bpf_prog* program = BPF_CORE_READ(event, prog);
  if (program != NULL) {
    if (BPF_CORE_READ(program, aux, id) == hit_program_id) found->watched |= 1u << slot;
    return;
  }
  struct perf_event* opened = BPF_CORE_READ(event, parent);
  if (opened != NULL && BPF_CORE_READ(opened, owner, tgid) == (int)config.watcher_pid)
    found->without_program_from = BPF_CORE_READ(opened, hw.target, pid);
}

static __always_inline struct perf_event_context* events_of(struct task_struct* task) {
  struct task_struct___before_6_2* older = (void*)task;
  if (bpf_core_field_exists(older->perf_event_ctxp))
    return BPF_CORE_READ(older, perf_event_ctxp[1]);
  return BPF_CORE_READ(task, perf_event_ctxp);
}

static __always_inline struct thread_slots find_thread_slots(struct task_struct* task) {
  struct thread_slots found = {};
  struct perf_event_context* events = events_of(task);
  if (events == NULL) return found;
  void* const end = (void*)events + bpf_core_field_offset(events->event_list);
  void* entry = BPF_CORE_READ(events, event_list.next);
  for (int i = 0; i < MAX_EVENTS_LOOKED_AT && entry != end; ++i) {
    struct perf_event* event = entry - bpf_core_field_offset(struct perf_event, event_entry);
    look_at_event(event, &found);
    entry = BPF_CORE_READ(event, event_entry.next);
  }
  return found;
}
