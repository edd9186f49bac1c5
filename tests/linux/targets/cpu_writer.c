// Writes its counter all the time, on one CPU as long as that is there, and remembers when it wrote what:
// for tests that take CPUs away meanwhile.
//
//     cpu_writer CPU     prints "ready", writes until standard input ends, then prints a line for each
//                        write: VALUE BEGIN_NS END_NS CPU (CLOCK_MONOTONIC, around the write; the CPU
//                        after it)
#define _GNU_SOURCE
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { kMaxWrites = 4000000, kPauseMicroseconds = 200, kPinEvery = 16 };

struct write_record {
  uint64_t begin;
  uint64_t end;
  unsigned cpu;
};

volatile uint64_t counter;
static struct write_record *records;

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// Refused while the CPU is offline; then the program runs where it may.
static void prefer(int cpu) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET((unsigned)cpu, &only);
  (void)sched_setaffinity(0, sizeof only, &only);
}

__attribute__((noinline)) static void write_once(uint64_t value) {
  struct write_record *record = &records[value];
  record->begin = now();
  counter = value;
  record->end = now();
  (void)getcpu(&record->cpu, NULL);
}

int main(int argc, char **argv) {
  const int cpu = argc > 1 ? atoi(argv[1]) : 0;
  records = calloc(kMaxWrites, sizeof *records);
  if (records == NULL) return 1;
  puts("ready");
  fflush(stdout);
  uint64_t value = 0;
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  while (value + 1 < kMaxWrites && poll(&input, 1, 0) == 0) {
    if (value % kPinEvery == 0) prefer(cpu);
    write_once(++value);
    usleep(kPauseMicroseconds);
  }
  for (uint64_t i = 1; i <= value; ++i)
    printf("%lu %lu %lu %u\n", (unsigned long)i, (unsigned long)records[i].begin,
           (unsigned long)records[i].end, records[i].cpu);
  return 0;
}
