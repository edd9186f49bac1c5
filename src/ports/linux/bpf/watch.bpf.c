/* The BPF programs of a watch: what happens at the trap itself, in the kernel.
 *
 * on_hit runs at each hit of a watched thread and of those that inherited its events, or of anybody
 * on a watched CPU. It reads what was written, exchanges it for what the hit before left (the
 * shadow), judges that by the conditions (watch_filter.h), walks the user's stack and writes one
 * record, or adds it to those like it (watch_tally.bpf.h). All records of all CPUs go into one
 * ring; the reader puts them in the order of time. The order of values is that of the exchanges.
 *
 * What happens to tasks is told by programs on the kernel's tracepoints, and which threads are
 * watched by one that walks all of them (list_threads), on demand.
 *
 * Written for processors that trap after the access: only there programs on breakpoints are safe
 * (bpf_watch_programs.h).
 *
 * Contexts: on_hit in the debug exception, interrupts off, like an NMI where the kernel itself made
 * the access; list_threads in read(2) of its reader; the others where their tracepoint is, in the
 * kernel. Sources: bpf-helpers(7); kernel/bpf/ringbuf.c; kernel/bpf/task_iter.c. */
#include "kernel_types.bpf.h"
#include "registers.bpf.h"
#include "thread_slots.bpf.h"
#include "watch_record.h"
#include "watch_tally.bpf.h"

/* helpers first */
#include <bpf/bpf_tracing.h>

/* The helpers that read memory ask for a licence compatible with the GPL. */
const char watch_license[] SEC("license") = "Dual MIT/GPL";

const volatile struct trapline_watch_config config;

/* Where all hits are on the same memory: else by process. */
struct trapline_shadow shadows[TRAPLINE_MAX_SLOTS];
struct shadow_key {
  __u32 pid;
  __u32 shadow;
};
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH); /* without LRU where each process is seen to end */
  __uint(max_entries, 4096);
  __type(key, struct shadow_key);
  __type(value, struct trapline_shadow);
} shadows_of_processes SEC(".maps");

/* Processes that share the memory of one that is watched (vfork), and whose memory that is. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, __u32);
  __type(value, __u32);
} sharers SEC(".maps");
/* How many, so that a hit looks for one only where there is one. */
__u64 sharer_count;

/* The process watched first runs another program, or has ended. */
__u64 first_has_left;

/* Its children that are watched. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384); /* one, where children are not followed */
  __type(key, __u32);
  __type(value, __u8);
} followed SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
} ring SEC(".maps");

/* A record in the making: too big for the stack. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct trapline_hit_record);
} scratch SEC(".maps");

/* On each CPU, written by nobody else, so without atomics. The kernel counts hits by itself: where
 * it counted more than ran, there was no turn for the program. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct trapline_hit_counts);
} hit_counts SEC(".maps");

/* Counted for the reader. */
__u64 lost_hits;  /* no room in the ring, or, where the kernel hit, no turn at its lock */
__u64 lost_tasks; /* something that happened to a task was not written or not remembered */

static __always_inline __u64 wakeup_flag(void) {
  return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= config.wakeup_bytes ? BPF_RB_FORCE_WAKEUP
                                                                            : BPF_RB_NO_WAKEUP;
}

static __always_inline int is_followed(__u32 pid) {
  if (config.whole_machine) return 1;
  if (pid == config.pid) return !first_has_left;
  return config.follows_children && bpf_map_lookup_elem(&followed, &pid) != NULL;
}

static __always_inline int has_shadows_by_process(void) {
  return config.whole_machine ? !config.kernel_memory : config.follows_children;
}

/* Somebody may have written to them without a hit. */
static __always_inline void forget_values(__u32 pid) {
  for (__u32 i = 0; i < TRAPLINE_MAX_SLOTS; ++i) {
    if (i >= config.slot_count) break;
    if (!has_shadows_by_process()) {
      if (!config.kernel_memory) shadows[i].state = TRAPLINE_UNKNOWN;
      continue;
    }
    const struct shadow_key key = {.pid = pid, .shadow = i};
    struct trapline_shadow* shadow = bpf_map_lookup_elem(&shadows_of_processes, &key);
    if (shadow != NULL) shadow->state = TRAPLINE_UNKNOWN;
  }
}

/* Its memory is not there any more. */
static __always_inline void drop_values(__u32 pid) {
  if (!has_shadows_by_process()) {
    forget_values(pid);
    return;
  }
  for (__u32 i = 0; i < TRAPLINE_MAX_SLOTS; ++i) {
    if (i >= config.slot_count) break;
    const struct shadow_key key = {.pid = pid, .shadow = i};
    bpf_map_delete_elem(&shadows_of_processes, &key);
  }
}

/* Its number may be given to another process, and it may start others that are not ours. */
static __always_inline void unfollow(__u32 pid) {
  drop_values(pid);
  if (config.whole_machine) return;
  if (pid == config.pid) {
    first_has_left = 1;
  } else {
    bpf_map_delete_elem(&followed, &pid);
  }
}

/* The process whose memory that of `pid` is. */
static __always_inline __u32 owner_of_memory(__u32 pid) {
  if (sharer_count == 0) return pid;
  const __u32* owner = bpf_map_lookup_elem(&sharers, &pid);
  return owner != NULL ? *owner : pid;
}

/* Whether its hits are ours, too. */
static __always_inline int sharers_are_followed(void) {
  return config.whole_machine || config.follows_children;
}

static __always_inline void start_sharing(__u32 pid, __u32 parent) {
  const __u32 owner = owner_of_memory(parent);
  if (bpf_map_update_elem(&sharers, &pid, &owner, BPF_NOEXIST) != 0) {
    __sync_fetch_and_add(&lost_tasks, 1);
    return;
  }
  __sync_fetch_and_add(&sharer_count, 1);
}

static __always_inline void stop_sharing(__u32 pid) {
  if (sharer_count == 0) return;
  const __u32* found = bpf_map_lookup_elem(&sharers, &pid);
  if (found == NULL) return;
  const __u32 owner = *found;
  if (bpf_map_delete_elem(&sharers, &pid) != 0) return;
  /* What it wrote was perhaps no hit. */
  if (!sharers_are_followed()) forget_values(owner);
  __sync_fetch_and_sub(&sharer_count, 1);
}

/* --- at a hit --- */

static __always_inline struct trapline_shadow* common_shadow(__u32 index) {
  /* Cut here, since the verifier has to see a bound where the address is made: with a comparison
   * alone, the compiler makes it before. */
  barrier_var(index);
  _Static_assert((TRAPLINE_MAX_SLOTS & (TRAPLINE_MAX_SLOTS - 1)) == 0, "a mask cuts it");
  return &shadows[index & (TRAPLINE_MAX_SLOTS - 1)];
}

static __always_inline struct trapline_shadow* find_shadow(__u32 pid, __u32 index) {
  if (!has_shadows_by_process()) return common_shadow(index);
  struct shadow_key key = {.pid = pid, .shadow = index};
  struct trapline_shadow* found = bpf_map_lookup_elem(&shadows_of_processes, &key);
  if (found != NULL) return found;
  /* Of the whole machine none is dropped but with its process, so that one that is new is that of
   * the first hit. */
  const struct trapline_shadow fresh = {.state = config.whole_machine ? TRAPLINE_BEFORE_FIRST
                                                                      : TRAPLINE_UNKNOWN};
  bpf_map_update_elem(&shadows_of_processes, &key, &fresh, BPF_NOEXIST);
  return bpf_map_lookup_elem(&shadows_of_processes, &key);
}

/* Thread 0 is on every CPU. */
static __always_inline __u32 writer_of(const struct trapline_facts* facts) {
  return facts->tid != 0 ? facts->tid : ~facts->cpu;
}

/* Before memory is read, so that whoever comes while it is read is seen after it. */
static __always_inline void announce(struct trapline_facts* facts, struct trapline_shadow* shadow) {
  const __u64 now = bpf_ktime_get_ns();
  const __u32 writer = writer_of(facts);
  facts->is_contended = shadow->tid != writer && now < shadow->time + TRAPLINE_CONTENTION_NS;
  shadow->time = now;
  shadow->tid = writer;
}

/* At most 8 bytes. */
static __always_inline long read_memory(void* value, __u32 length, __u64 address) {
  /* Here, where the verifier sees that it holds for the call: it forgets what it knew of a register
   * that was stored meanwhile. */
  barrier_var(length);
  if (length > sizeof(__u64)) return -1;
  if (config.kernel_memory) return bpf_probe_read_kernel(value, length, (const void*)address);
  return bpf_probe_read_user(value, length, (const void*)address);
}

/* Also where the hit will be rejected: the next one finds what this one left. */
static __always_inline void read_values(struct trapline_facts* facts, __u32 slot) {
  /* Its epoch before memory is read, too. */
  const struct trapline_slot place = slot_at(slot);
  const __u32 length = place.value_length;
  if (length == 0 || length > sizeof(__u64)) return;
  struct trapline_shadow* shadow = find_shadow(owner_of_memory(facts->pid), place.shadow);
  if (shadow == NULL) return;
  facts->is_first = shadow->state == TRAPLINE_BEFORE_FIRST;
  if (config.filter.needs_values) announce(facts, shadow);
  __u64 value = 0;
  if (read_memory(&value, length, place.value_address) != 0) {
    shadow->state = TRAPLINE_UNKNOWN;
    return;
  }
  facts->new_value = value;
  facts->new_known = 1;
  /* Somebody may write to this memory without a hit, where there are sharers that are not followed. */
  facts->old_known =
      shadow->state == TRAPLINE_KNOWN && (sharer_count == 0 || sharers_are_followed());
  if (config.whole_machine) {
    if (place.epoch == 0 || shadow->epoch != place.epoch) facts->old_known = 0;
    shadow->epoch = place.epoch;
  }
  facts->old_value = __sync_lock_test_and_set(&shadow->value, value);
  shadow->state = TRAPLINE_KNOWN;
  if (config.filter.needs_values && shadow->tid != writer_of(facts)) facts->is_contended = 1;
}

/* Before anything that costs more than the comparison. */
static __always_inline int is_rejected(struct trapline_facts* facts) {
  if (config.filter.count == 0) return 0;
  if (config.filter.needs_name) bpf_get_current_comm(facts->name, sizeof facts->name);
  return trapline_rejects(&config.filter, facts);
}

/* Whether no reader could come to reject it. */
static __always_inline int is_judged(const struct trapline_facts* facts) {
  if (!config.filter.needs_values) return 1;
  return facts->old_known && facts->new_known && !facts->is_contended;
}

static __always_inline __u32 flags_of(const struct trapline_facts* facts) {
  return (facts->old_known ? TRAPLINE_OLD_KNOWN : 0) | (facts->new_known ? TRAPLINE_NEW_KNOWN : 0) |
         (facts->is_first ? TRAPLINE_FIRST : 0);
}

static __always_inline int is_thread_of_kernel(void) {
  return (bpf_get_current_task_btf()->flags & PF_KTHREAD) != 0;
}

static __always_inline __u32 frames_of(long bytes) {
  return bytes > 0 ? bytes / sizeof(__u64) : 0;
}

SEC("perf_event")
int on_hit(struct bpf_perf_event_data* context) {
  const __u32 zero = 0;
  struct trapline_hit_counts* counts = bpf_map_lookup_elem(&hit_counts, &zero);
  if (counts != NULL) ++counts->runs;
  const int slot = find_slot(context->addr);
  if (slot < 0) return 0;
  const __u64 id = bpf_get_current_pid_tgid();
  struct trapline_facts facts = {
      .tid = (__u32)id, .pid = id >> 32, .cpu = bpf_get_smp_processor_id()};
  if (config.reads_values) read_values(&facts, slot);
  if (is_rejected(&facts)) {
    if (counts != NULL) ++counts->rejected;
    return 0;
  }
  struct trapline_hit_record* record = bpf_map_lookup_elem(&scratch, &zero);
  if (record == NULL) return 0;

  record->kind = TRAPLINE_HIT;
  record->slot = slot;
  record->pid = facts.pid;
  record->tid = facts.tid;
  record->cpu = facts.cpu;
  record->address = context->addr;
  record->flags = flags_of(&facts);
  record->old_value = facts.old_value;
  record->new_value = facts.new_value;
  record->ip = trapline_instruction_pointer(&context->regs);
  const int in_kernel = !trapline_is_user_mode(&context->regs);
  if (in_kernel) record->flags |= TRAPLINE_IN_KERNEL;
  const int has_user = !in_kernel || !is_thread_of_kernel();
  if (has_user) record->flags |= TRAPLINE_HAS_USER;
  /* Before what only a record needs. */
  if (config.tallies_hits && is_judged(&facts) && tally_hit(context, record)) return 0;
  record->registers = context->regs;
  bpf_get_current_comm(record->comm, sizeof record->comm);
  record->user_frames = 0;
  record->kernel_frames = 0;
  if (in_kernel && has_user) {
    bpf_probe_read_kernel(&record->registers, sizeof record->registers,
                          (void*)bpf_task_pt_regs(bpf_get_current_task_btf()));
  }
  if (has_user && bpf_probe_read_user(&record->stack_top, sizeof record->stack_top,
                                      (void*)trapline_stack_pointer(&record->registers)) == 0)
    record->flags |= TRAPLINE_STACK_TOP_KNOWN;
  __u64 size = __builtin_offsetof(struct trapline_hit_record, user_chain);
  if (config.walks_stack) {
    long bytes = 0;
    if (has_user)
      bytes =
          bpf_get_stack(context, record->user_chain, sizeof record->user_chain, BPF_F_USER_STACK);
    if (bytes < 0 || bytes > (long)sizeof record->user_chain) bytes = 0;
    record->user_frames = frames_of(bytes);
    size += bytes;
    if (in_kernel) {
      record->kernel_frames =
          frames_of(bpf_get_stack(context, record->kernel_chain, sizeof record->kernel_chain, 0));
      size = sizeof *record;
    }
  }
  /* Late, so that the order of times is that of the ring but for what passes in between. */
  record->time = bpf_ktime_get_ns();
  if (bpf_ringbuf_output(&ring, record, size, wakeup_flag()) != 0) {
    __sync_fetch_and_add(&lost_hits, 1);
    take_tally_back(record);
  }
  return 0;
}

/* --- what becomes of tasks --- */

static __always_inline void write_task(struct trapline_task_record* record) {
  record->time = bpf_ktime_get_ns();
  if (bpf_ringbuf_output(&ring, record, sizeof *record, wakeup_flag()) != 0)
    __sync_fetch_and_add(&lost_tasks, 1);
}

static __always_inline void remember(void* map, const __u32* key, const void* value) {
  if (bpf_map_update_elem(map, key, value, BPF_ANY) != 0) __sync_fetch_and_add(&lost_tasks, 1);
}

/* The child does not run yet. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct* parent, struct task_struct* child) {
  struct trapline_task_record record = {.kind = TRAPLINE_FORK,
                                        .pid = child->tgid,
                                        .tid = child->pid,
                                        .parent_pid = parent->tgid,
                                        .parent_tid = parent->pid};
  if (!is_followed(record.parent_pid)) return 0;
  const int is_process = record.pid != record.parent_pid;
  if (is_process && child->mm != NULL && child->mm == parent->mm)
    start_sharing(record.pid, record.parent_pid);
  if (is_process && config.follows_children) {
    const __u8 yes = 1;
    remember(&followed, &record.pid, &yes);
  }
  if (!config.whole_machine) record.watched_slots = find_thread_slots(child).watched;
  write_task(&record);
  return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct* task) {
  struct trapline_task_record record = {.kind = TRAPLINE_EXIT, .pid = task->tgid, .tid = task->pid};
  const int is_last = task->signal->live.counter == 0;
  if (is_last) stop_sharing(record.pid);
  if (!is_followed(record.pid)) return 0;
  record.ends_process = is_last;
  write_task(&record);
  if (is_last) unfollow(record.pid);
  return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct* task) {
  struct trapline_task_record record = {.kind = TRAPLINE_EXEC, .pid = task->tgid, .tid = task->pid};
  stop_sharing(record.pid);
  if (!is_followed(record.pid)) return 0;
  write_task(&record);
  unfollow(record.pid);
  return 0;
}

/* Called for every mapping of a file; its caller does not have to be watched by perf. */
SEC("fentry/perf_event_mmap")
int BPF_PROG(on_map, struct vm_area_struct* area) {
  const __u64 id = bpf_get_current_pid_tgid();
  struct trapline_task_record record = {
      .kind = TRAPLINE_CODE_MAP, .pid = id >> 32, .tid = (__u32)id};
  if (is_followed(record.pid) && (area->vm_flags & VM_EXEC)) write_task(&record);
  return 0;
}

/* --- which threads are watched --- */

SEC("iter/task")
int list_threads(struct bpf_iter__task* context) {
  struct task_struct* task = context->task;
  if (task == NULL || (task->flags & PF_EXITING) || !is_followed(task->tgid)) return 0;
  const struct thread_slots slots = find_thread_slots(task);
  struct trapline_thread_record record = {.tid = task->pid,
                                          .watched_slots = slots.watched,
                                          .without_program_from = slots.without_program_from};
  bpf_seq_write(context->meta->seq, &record, sizeof record);
  return 0;
}
