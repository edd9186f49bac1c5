// How the test programs say what is true of them: one line per object, "kind expression address
// length", separated by tabs. The test resolves each expression and compares.
#pragma once

#include <stdio.h>

#define TELL(kind, expression, object) \
  printf("%s\t%s\t%lx\t%zu\n", kind, expression, (unsigned long)(void*)&(object), sizeof(object))
#define TELL_FUNCTION(expression, function) \
  printf("function\t%s\t%lx\t0\n", expression, (unsigned long)(void*)(function))
