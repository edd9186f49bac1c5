#include "objects.h"
#include "tell.h"

int shared_counter = 5;
struct node library_node;
static long library_static;

__attribute__((noinline)) int library_function(void) {
  return ++shared_counter;
}

void tell_library(void) {
  library_static = library_function();
  TELL("signed", "library_static", library_static);
  TELL("signed", "library.c:library_static", library_static);
  TELL("signed", LIBRARY_NAME ":library_static", library_static);
  TELL("signed", "shared_counter", shared_counter);
  TELL("signed", "library.c:shared_counter", shared_counter);
  TELL("signed", "library_node.len", library_node.len);
  TELL_FUNCTION("library_function", library_function);
}
