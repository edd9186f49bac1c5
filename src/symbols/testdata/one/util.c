#include "../objects.h"
#include "../tell.h"

static int twice;
static short only_in_one;

void tell_one(void) {
  twice = 1;
  only_in_one = 1;
  TELL("signed", "one/util.c:twice", twice);
  TELL("signed", "only_in_one", only_in_one);
  TELL("signed", "util.c:only_in_one", only_in_one);
}
