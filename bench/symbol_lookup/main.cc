// The program whose names are looked up: says its process id, then stays until its standard input
// ends.
#include <unistd.h>

#include <cstdio>

struct Connection {
  int state;
  Connection* next;
};

int needle_in_the_haystack;
Connection connection_table[16];
int counter;  // a name that every copy of heavy.cc has in its functions, too
int size;     // and one that thousands of structs have as a member
int x;        // and one that many strings end with

int main() {
  connection_table[3].next = &connection_table[5];
  std::printf("%d\n", static_cast<int>(getpid()));
  std::fflush(stdout);
  return std::getchar() == EOF ? 0 : 1;
}
