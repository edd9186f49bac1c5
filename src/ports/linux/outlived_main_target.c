// A process whose first thread ends at once and whose second lives until standard input ends.
#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

static void* wait_for_the_end_of_input(void* unused) {
  char byte;
  (void)unused;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  _exit(0);
}

int main(void) {
  pthread_t other;
  if (pthread_create(&other, NULL, wait_for_the_end_of_input, NULL) != 0) return 1;
  pthread_exit(NULL);
}
