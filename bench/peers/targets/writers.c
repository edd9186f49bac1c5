// THREADS threads write one variable for SECONDS, all at once; how often, all in all, is written to FILE.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

volatile int counter;

static atomic_bool stop;
static pthread_barrier_t all_there;

static void* write_until_stopped(void* writes) {
  long* const count = writes;
  pthread_barrier_wait(&all_there);
  while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
    counter = (int)*count;
    ++*count;
  }
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const int threads = atoi(argv[1]);
  const double seconds = atof(argv[2]);
  pthread_t* const ids = calloc((size_t)threads, sizeof *ids);
  // A cache line or more for each.
  long(*const counts)[16] = calloc((size_t)threads, sizeof *counts);
  pthread_barrier_init(&all_there, NULL, (unsigned)threads + 1);
  for (int i = 0; i < threads; ++i) {
    if (pthread_create(&ids[i], NULL, write_until_stopped, counts[i]) != 0) return 1;
  }
  pthread_barrier_wait(&all_there);
  const struct timespec span = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&span, NULL);
  atomic_store(&stop, 1);
  long total = 0;
  for (int i = 0; i < threads; ++i) {
    pthread_join(ids[i], NULL);
    total += counts[i][0];
  }
  FILE* const file = fopen(argv[3], "w");
  if (file == NULL) return 1;
  fprintf(file, "%ld\n", total);
  return fclose(file) == 0 ? 0 : 1;
}
