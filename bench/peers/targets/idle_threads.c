// A process with N threads that do nothing.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int counter;

static void* idle(void* argument) {
  for (;;) pause();
  return argument;
}

int main(int argc, char** argv) {
  const int count = argc > 1 ? atoi(argv[1]) : 1;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 65536);
  for (int i = 1; i < count; ++i) {
    pthread_t id;
    if (pthread_create(&id, &attributes, idle, NULL) != 0) return 1;
  }
  puts("ready");
  fflush(stdout);
  idle(NULL);
}
