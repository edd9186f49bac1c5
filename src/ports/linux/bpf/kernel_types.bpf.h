/* As much of the kernel's types as the programs use; the loader finds the members in the running
 * kernel (CO-RE), wherever they are there. Sources: include/linux/sched.h, perf_event.h, bpf.h,
 * mm_types.h. */
#pragma once

#include <linux/bpf.h>

/* bpf.h first */
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
  struct list_head* next;
};

typedef struct {
  int counter;
} atomic_t;
struct signal_struct {
  atomic_t live; /* threads that have not ended */
};

struct mm_struct;
struct vm_area_struct {
  unsigned long vm_flags;
};
enum { VM_EXEC = 4 };

struct bpf_prog_aux {
  __u32 id;
};
struct bpf_prog {
  struct bpf_prog_aux* aux;
};

struct task_struct;
struct perf_event_attr {
  __u32 type;
  __u64 bp_addr;
};
enum { PERF_TYPE_BREAKPOINT = 5 };
struct hw_perf_event {
  struct task_struct* target; /* the thread that it was opened for */
};
struct perf_event {
  struct list_head event_entry;
  struct perf_event_attr attr;
  struct hw_perf_event hw;
  struct perf_event* parent; /* of an inherited one: the one that was opened, never one between */
  struct task_struct* owner; /* the thread that opened it */
  struct bpf_prog* prog;
};
struct perf_event_context {
  struct list_head event_list;
};

struct task_struct {
  unsigned int flags;
  int pid;
  int tgid;
  struct mm_struct* mm;
  struct signal_struct* signal;
  struct perf_event_context* perf_event_ctxp;
};
enum { PF_EXITING = 4, PF_KTHREAD = 0x200000 };
/* Before Linux 6.2: one list for hardware's events, and one for those of software, with which
 * breakpoints are (kernel/events/hw_breakpoint.c, perf_breakpoint). */
struct task_struct___before_6_2 {
  struct perf_event_context* perf_event_ctxp[2];
};

struct seq_file;
struct bpf_iter_meta {
  struct seq_file* seq;
};
struct bpf_iter__task {
  struct bpf_iter_meta* meta;
  struct task_struct* task;
};

#pragma clang attribute pop
