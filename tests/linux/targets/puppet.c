// A program that does what its standard input says, one line at a time, and answers each with "ok
// ..." : the target of the end-to-end tests. Its variables and functions are named in the tests;
// their lines are found by the BUMP marks.
#define _GNU_SOURCE  // names and CPUs of threads
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void write_rival(int value);  // rival.c

struct node {
  int value;
  struct node* next;
};

struct config {
  char name[12];
  int mode;
  double ratio;
  struct node* head;
};

enum phase { phase_idle, phase_running = 5, phase_stopped };
enum rights { may_read = 1, may_write = 2, may_run = 4 };

struct point {
  short x;
  short y;
};

struct status {
  unsigned ready : 1;
  unsigned level : 4;
  int delta : 5;
};

struct shape {
  enum phase phase;
  int count;
  struct point corners[2];
  void (*draw)(void);
};

int counter;
unsigned char small;
int64_t big = -1;
double real;
int* pointer;
_Alignas(8) char buffer[64];  // a known number of debug registers on every machine
_Thread_local int per_thread;
static volatile int file_static;
static volatile int twice;  // rival.c has one too
static struct node tail = {7, NULL};
struct config cfg = {"puppet", 1, 0.5, &tail};
struct config table[4];
struct __attribute__((packed)) {
  char pad;
  int value;
} unaligned;

enum phase phase;
enum rights rights;
struct point point = {1, 2};
struct status status = {0, 3, -1};
struct shape shape;
struct config* entry;
char label[8] = "none";

__attribute__((noinline)) void bump(void) {
  counter = counter + 1;  // BUMP
}

__attribute__((noinline)) void set_counter(int value) {
  counter = value;  // SET
}

static inline __attribute__((always_inline)) void bump_inlined(void) {
  counter += 2;  // INLINED
}

__attribute__((noinline)) void bump_through_inline(void) {
  bump_inlined();
}

__attribute__((noinline)) void write_fields(int value) {
  cfg.mode = value;
  table[2].head = &tail;
  tail.value = value;
  file_static = value;
  twice = value;
  write_rival(value);
  small = (unsigned char)value;
  big = -value;
  real = value * 0.5;
  pointer = &counter;
  per_thread = value;
}

__attribute__((noinline)) void write_values(int value) {
  phase = phase_running;
  rights = may_read | may_run;
  point.y = (short)value;
  status.level = (unsigned)value;
  status.delta = -value;
  entry = &table[2];
  label[0] = 'd';
  shape.phase = phase_stopped;
  shape.count = value;
  shape.corners[1].x = (short)value;
  shape.draw = bump;
}

// Apart from the others: some emulators take such a store for a hit wherever it is in the page.
__attribute__((noinline)) void write_unaligned(int value) {
  unaligned.value = value;
}

__attribute__((noinline)) int read_counter(void) {
  return *(volatile int*)&counter;
}

static void* bump_many(void* argument) {
  const long count = (long)argument;
  for (long i = 0; i < count; ++i) bump();
  return NULL;
}

static void run_threads(int threads, long count) {
  pthread_t* ids = calloc((size_t)threads, sizeof *ids);
  for (int i = 0; i < threads; ++i) pthread_create(&ids[i], NULL, bump_many, (void*)count);
  for (int i = 0; i < threads; ++i) pthread_join(ids[i], NULL);
  free(ids);
}

static void* sleep_forever(void* argument) {
  (void)argument;
  for (;;) pause();
  return NULL;
}

static void fork_and_bump(long count) {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    bump_many((void*)count);
    _exit(0);
  }
  waitpid(child, NULL, 0);
}

// Leaves a child behind that writes `count` times after a while; whoever called goes on at once.
static void fork_late_writer(long milliseconds, long count) {
  fflush(stdout);
  if (fork() != 0) return;
  usleep((useconds_t)(milliseconds * 1000));
  bump_many((void*)count);
  _exit(0);
}

static void read_into_buffer(void) {
  const int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  if (read(zero, buffer, 8) != 8) abort();
  close(zero);
}

static void call_library(const char* path, int unload) {
  static void* library;
  if (library == NULL) library = dlopen(path, RTLD_NOW);
  if (library == NULL) {
    printf("error %s\n", dlerror());
    return;
  }
  void (*touch)(void);
  *(void**)&touch = dlsym(library, "touch_plugin");
  if (touch != NULL) touch();
  if (unload) {
    dlclose(library);
    library = NULL;
  }
}

static void obey(const char* line) {
  long first = 0;
  long second = 0;
  char text[512] = "";
  if (sscanf(line, "bump %ld", &first) == 1) {
    bump_many((void*)first);
  } else if (sscanf(line, "set %ld", &first) == 1) {
    set_counter((int)first);
  } else if (sscanf(line, "name %15s", text) == 1) {
    pthread_setname_np(pthread_self(), text);
  } else if (sscanf(line, "pin %ld", &first) == 1) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET((size_t)first, &cpus);
    if (sched_setaffinity(0, sizeof cpus, &cpus) != 0) abort();
  } else if (strncmp(line, "inline", 6) == 0) {
    bump_through_inline();
  } else if (sscanf(line, "fields %ld", &first) == 1) {
    write_fields((int)first);
  } else if (sscanf(line, "unaligned %ld", &first) == 1) {
    write_unaligned((int)first);
  } else if (sscanf(line, "values %ld", &first) == 1) {
    write_values((int)first);
  } else if (strncmp(line, "look", 4) == 0) {
    read_counter();
  } else if (sscanf(line, "threads %ld %ld", &first, &second) == 2) {
    run_threads((int)first, second);
  } else if (sscanf(line, "sleepers %ld", &first) == 1) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536);
    pthread_t id;
    for (long i = 0; i < first; ++i) pthread_create(&id, &attributes, sleep_forever, NULL);
  } else if (sscanf(line, "fork %ld", &first) == 1) {
    fork_and_bump(first);
  } else if (sscanf(line, "leave %ld %ld", &first, &second) == 2) {
    fork_late_writer(first, second);
    exit(0);
  } else if (sscanf(line, "depart %ld %ld %500s", &first, &second, text) == 3) {
    fork_late_writer(first, second);
    execl(text, text, (char*)NULL);
  } else if (strncmp(line, "reap", 4) == 0) {
    waitpid(-1, NULL, 0);
  } else if (strncmp(line, "read", 4) == 0) {
    read_into_buffer();
  } else if (sscanf(line, "load %500s", text) == 1) {
    call_library(text, 0);
  } else if (sscanf(line, "unload %500s", text) == 1) {
    call_library(text, 1);
  } else if (sscanf(line, "exec %500s", text) == 1) {
    execl(text, text, (char*)NULL);
  } else if (sscanf(line, "exit %ld", &first) == 1) {
    exit((int)first);
  } else if (strncmp(line, "crash", 5) == 0) {
    raise(SIGKILL);
  } else {
    printf("error unknown: %s", line);
    return;
  }
  printf("ok %d\n", counter);
}

int main(void) {
  char line[600];
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("ready %d\n", (int)getpid());
  while (fgets(line, sizeof line, stdin) != NULL) obey(line);
  return 0;
}
