/* What the BPF programs and their reader share: the configuration, written before the programs are
 * loaded, and the records that come out of the ring. Plain C: compiled for BPF and for the host. */
#pragma once

#include <linux/bpf_perf_event.h>
#include <linux/types.h>

#include "watch_filter.h"

/* NOLINTBEGIN(readability-identifier-naming): the names are C's */
enum {
  TRAPLINE_MAX_SLOTS = 16,   /* kMaxPlanSlots, checked where both are known */
  TRAPLINE_MAX_FRAMES = 127, /* the kernel's default, kernel.perf_event_max_stack */
  TRAPLINE_MAX_TALLIES = 16384,
  TRAPLINE_CPU_WORDS = 16, /* CPUs beyond are not noted */
};

/* One slot of the plan, and the bytes whose value is told with its hits. */
struct trapline_slot {
  __u64 address;
  __u64 value_address;
  __u32 value_length; /* 1 to 8; of the whole machine's, 0: not in use */
  __u32 shadow;       /* which shadow holds them; slots that tell the same bytes share one */
  /* Of the whole machine's: what a hit left in another epoch is not what the next one finds. 0: nor
   * is anything else, since somebody may write without a hit. */
  __u32 epoch;
  __u32 unused;
};

struct trapline_watch_config {
  struct trapline_slot slots[TRAPLINE_MAX_SLOTS];
  __u32 slot_count;
  __u32 pid;             /* the process that is watched */
  __u32 watcher_pid;     /* the process that opens the events */
  __u32 wakeup_bytes;    /* how much has to be unread before the reader is woken */
  __u8 follows_children; /* processes that it forks, too */
  __u8 reads_values;
  __u8 walks_stack;
  __u8 tallies_hits;
  __u32 value_order;  /* enum trapline_value_order, of tallies' ranges */
  __u8 whole_machine; /* all processes, and the slots that are there at the time (machine_slots) */
  __u8 kernel_memory; /* what is watched is the kernel's, the same for all processes */
  __u8 unused[2];
  struct trapline_filter filter;
};

/* What the last hit left. */
enum trapline_shadow_state {
  TRAPLINE_UNKNOWN,
  TRAPLINE_KNOWN,
  TRAPLINE_BEFORE_FIRST, /* there was none yet: `value` means nothing */
};
struct trapline_shadow {
  __u64 value;
  __u64 time; /* ns, CLOCK_MONOTONIC; this and the next where conditions need values */
  __u32 tid;  /* whose hit it was */
  __u32 state;
  __u32 epoch; /* of its slot then */
  __u32 unused;
};

/* Of one CPU. */
struct trapline_hit_counts {
  __u64 runs;     /* of on_hit */
  __u64 rejected; /* hits that failed a condition */
};

/* Which hits are alike. Stacks by the kernel's numbers; 0 where there is none. */
struct trapline_tally_key {
  __u32 pid;
  __u32 tid;
  __u32 slot;
  __u32 idle_cpu; /* of thread 0, which each CPU has when it is idle */
  __u64 ip;
  __s32 user_stack;
  __s32 kernel_stack;
};

/* Of hits that are alike, without the first one. */
struct trapline_tally {
  __u64 count;
  __u64 first; /* ns, CLOCK_MONOTONIC */
  __u64 last;
  __u64 lowest; /* of new values, as places in their order (value_order.h) */
  __u64 highest;
  __u64 value_length;             /* of the values that they are of; 0: of none */
  __u64 cpus[TRAPLINE_CPU_WORDS]; /* bits */
};

enum trapline_record_kind {
  TRAPLINE_HIT,
  TRAPLINE_FORK,     /* of a thread (pid == parent_pid) or of a process */
  TRAPLINE_EXIT,     /* of a thread */
  TRAPLINE_EXEC,     /* the process runs another program */
  TRAPLINE_CODE_MAP, /* the process has mapped code */
};

struct trapline_task_record {
  __u32 kind;
  __u32 pid;
  __u32 tid;
  __u32 parent_pid;
  __u32 parent_tid;
  __u32 watched_slots; /* FORK: bits, inherited with the program on them */
  __u64 time;          /* ns, CLOCK_MONOTONIC */
  __u32 ends_process;  /* EXIT: no other thread is left */
  __u32 unused;
};

/* A thread of a process that is followed. */
struct trapline_thread_record {
  __u32 tid;
  __u32 watched_slots; /* bits */
  /* A slot was inherited from an event that had no program yet, of this thread; else 0. */
  __u32 without_program_from;
};

enum trapline_hit_flags {
  TRAPLINE_IN_KERNEL = 1,
  TRAPLINE_OLD_KNOWN = 2,
  TRAPLINE_NEW_KNOWN = 4,
  TRAPLINE_STACK_TOP_KNOWN = 8,
  TRAPLINE_FIRST = 16,       /* no hit on these bytes before it, since the watch began */
  TRAPLINE_OPENS_TALLY = 32, /* hits like it are counted in `tally` from now on */
  TRAPLINE_HAS_USER = 64,    /* a thread of the kernel has no registers or stack of user mode */
};

/* The record ends after the user's chain, unless the hit was in the kernel: then both chains are
 * there. Chains begin with the instruction itself. */
struct trapline_hit_record {
  __u32 kind;
  __u32 slot;
  __u32 pid;
  __u32 tid;
  __u32 cpu;
  __u32 flags;
  __u64 time;    /* ns, CLOCK_MONOTONIC */
  __u64 address; /* that is watched: the slot's */
  char comm[16];
  __u64 old_value;
  __u64 new_value;
  __u64 stack_top;
  __u64 ip;
  struct trapline_tally_key tally;
  bpf_user_pt_regs_t registers; /* of user mode, also where the hit was in the kernel */
  __u32 user_frames;
  __u32 kernel_frames;
  __u64 user_chain[TRAPLINE_MAX_FRAMES];
  __u64 kernel_chain[TRAPLINE_MAX_FRAMES];
};
/* NOLINTEND(readability-identifier-naming) */
