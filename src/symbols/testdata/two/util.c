#include "../objects.h"
#include "../tell.h"

struct opaque {
  long first;
  long second;
};
static struct opaque the_opaque;
__attribute__((used)) struct opaque* const opaque_object = &the_opaque;
static int twice;

void tell_two(void) {
  twice = 1;
  TELL("signed", "two/util.c:twice", twice);
  TELL("signed", "opaque_object->second", the_opaque.second);
  TELL("signed", "table[3].hidden->second", the_opaque.second);
}
