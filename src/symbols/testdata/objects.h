#pragma once

#ifdef __cplusplus
extern "C" {
#endif

struct opaque;  // complete only in two/util.c

struct node {
  int len;
  struct node* next;
  struct opaque* hidden;
};

extern int shared_counter;        // of the library; a copy relocation in the program
extern struct node library_node;  // of the library
extern int announced[];           // its size is known only where it is defined
extern struct opaque* const opaque_object;

void tell_c_part(void);
void tell_one(void);
void tell_two(void);
void tell_library(void);

#ifdef __cplusplus
}
#endif
