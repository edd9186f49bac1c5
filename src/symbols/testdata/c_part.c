#include <stdbool.h>
#include <stdlib.h>

#include "objects.h"
#include "tell.h"

enum colour { red, green = 1000 };
typedef unsigned long counter_t;

int counter;
static volatile counter_t hits;
const volatile double ratio = 0.5;
bool flag;
char letter;
enum colour colour;
_Atomic int atomic_counter;
int announced[6];
short grid[3][5];
void* untyped;

struct config {
  int mode;
  unsigned low : 3;
  unsigned high : 9;
  struct {
    int inner;
  };
  union {
    float as_float;
    int as_int;
  } value;
  unsigned char bytes[16];
};
struct config cfg;
__attribute__((used)) volatile struct config* cfg_pointer = (volatile struct config*)&cfg;

struct node head;
struct node table[4];
struct node* nothing;
struct node* wild = (struct node*)0x10;
int* numbers;
int matrix[2][2] = {{1, 2}, {3, 4}};
struct flexible {
  int count;
  int tail[];
};
struct flexible* flexible;

// What values can be made of.
enum rights { MAY_READ = 1, MAY_WRITE = 2, MAY_RUN = 4, MAY_ALL = 7, MAY_LOOK = 1 };
enum balance { OVERDRAWN = -1, SETTLED, SAVED = 255 };
typedef const volatile enum balance balance_t;
enum wide { NARROW = 1, HUGE = 0x123456789ab };
struct settings {
  enum colour colour;
  unsigned low : 3;
  int delta : 5;
  enum rights may : 4;
  _Bool is_set : 1;
  char label[3];
};
struct pair {
  short x;
  short y;
};
struct holder {
  struct pair pairs[2][3];
  union {
    void* target;
    unsigned char raw[8];
  };
  int (*handler)(void);
  struct opaque* hidden;
  signed char numbers[2];
};
struct crossing {
  unsigned long first : 61;
  unsigned long second : 60;
} __attribute__((packed));
enum rights rights;
balance_t balance;
enum wide wide;
struct settings settings;
struct pair pair;
struct holder holder;
struct crossing crossing;

__thread int per_thread;

__attribute__((noinline)) int count_calls(void) {
  static int calls;
  ++calls;
  TELL("signed", "calls", calls);
  TELL("signed", "count_calls::calls", calls);
  return calls;
}

void tell_c_part(void) {
  head.next = &table[1];
  table[1].next = &table[2];
  table[3].next = malloc(sizeof(struct node));
  table[3].hidden = opaque_object;
  numbers = malloc(8 * sizeof *numbers);
  flexible = malloc(64);
  per_thread = 1;
  ++hits;
  TELL("signed", "counter", counter);
  TELL("signed", "c_part.c:counter", counter);
  TELL("signed", "testdata/c_part.c:counter", counter);
  TELL("unsigned", "hits", hits);
  TELL("floating", "ratio", ratio);
  TELL("boolean", "flag", flag);
  TELL("character", "letter", letter);
  TELL("enumeration", "colour", colour);
  TELL("signed", "atomic_counter", atomic_counter);
  TELL("bytes", "announced", announced);
  TELL("signed", "announced[5]", announced[5]);
  TELL("bytes", "grid", grid);
  TELL("bytes", "grid[2]", grid[2]);
  TELL("signed", "grid[2][4]", grid[2][4]);
  TELL("pointer", "untyped", untyped);
  TELL("bytes", "cfg", cfg);
  TELL("signed", "cfg.mode", cfg.mode);
  TELL("signed", "cfg.inner", cfg.inner);
  TELL("floating", "cfg.value.as_float", cfg.value.as_float);
  TELL("character", "cfg.bytes[15]", cfg.bytes[15]);
  TELL("signed", "cfg_pointer->mode", cfg.mode);
  TELL("bytes", "*cfg_pointer", cfg);
  TELL("signed", "cfg_pointer[0].inner", cfg.inner);
  TELL("pointer", "head.next", head.next);
  TELL("signed", "head.next->next->len", table[2].len);
  TELL("signed", "table[3].next->len", table[3].next->len);
  TELL("bytes", "*table[3].next", *table[3].next);
  TELL("signed", "numbers[7]", numbers[7]);
  TELL("signed", "*numbers", numbers[0]);
  TELL("signed", "flexible->tail[3]", flexible->tail[3]);
  TELL("bytes", "*matrix", matrix[0]);
  TELL("enumeration", "rights", rights);
  TELL("enumeration", "balance", balance);
  TELL("enumeration", "wide", wide);
  TELL("bytes", "settings", settings);
  TELL("enumeration", "settings.colour", settings.colour);
  TELL("bytes", "settings.label", settings.label);
  TELL("bytes", "pair", pair);
  TELL("bytes", "holder", holder);
  TELL("bytes", "holder.pairs[1]", holder.pairs[1]);
  TELL("pointer", "holder.target", holder.target);
  TELL("pointer", "holder.handler", holder.handler);
  TELL("bytes", "crossing", crossing);
  TELL_FUNCTION("count_calls", count_calls);
  count_calls();
}
