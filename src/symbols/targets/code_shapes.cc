// Functions of every shape a symbolizer meets. Each PROBE leaves its address, its line and its name
// in a table; run_shapes() prints the table and the functions' entries, so that a test knows what
// is true. Built in several ways: see CMakeLists.txt.
#include <cstdint>
#include <cstdio>

#define PROBE(name)                                       \
  asm volatile(                                           \
      "990: nop\n"                                        \
      ".pushsection trapline_probes, \"aw\", @progbits\n" \
      ".quad 990b\n"                                      \
      ".quad %c0\n"                                       \
      ".asciz \"" name                                    \
      "\"\n"                                              \
      ".balign 64\n"                                      \
      ".popsection" ::"i"(__LINE__)                       \
      : "memory")

#define NOINLINE __attribute__((noinline))

struct Probe {
  const void* address;
  std::uint64_t line;
  char name[48];
};
extern "C" const Probe __start_trapline_probes[] __attribute__((visibility("hidden")));
extern "C" const Probe __stop_trapline_probes[] __attribute__((visibility("hidden")));

namespace shapes {

volatile int sink;

struct Counter {
  NOINLINE void bump(int by) {
    PROBE("method");
    sink = sink + by;
  }
};

inline __attribute__((always_inline)) void leaf(int value) {
  PROBE("leaf");
  sink = value;
}

inline __attribute__((always_inline)) void middle(int value) {
  leaf(value);
  PROBE("middle");
}

NOINLINE void outer(int value) {
  middle(value + 1);
  PROBE("outer");
  sink = value;
}

template <typename T>
NOINLINE void generic(T value) {
  PROBE("generic");
  sink = static_cast<int>(value);
}

// GCC moves the throw into a part of its own (not if there were a probe in it).
NOINLINE void with_cold_part(int value) {
  if (__builtin_expect(value == 12345, 0)) {
    throw value;
  }
  PROBE("hot");
  sink = value;
}

}  // namespace shapes

namespace {

NOINLINE void hidden(int value) {
  PROBE("hidden");
  shapes::sink = value;
}

}  // namespace

extern "C" NOINLINE void plain_c(int value) {
  PROBE("plain_c");
  shapes::sink = value;
}

// Assembly by hand: a label without size, type or call-frame information.
asm(".text\n"
    "bare_label:\n"
    "  nop\n"
    "  ret\n"
    "after_bare_label:\n"
    "  ret\n");
extern "C" void bare_label();

extern "C" void run_shapes() {
  shapes::Counter counter;
  counter.bump(1);
  shapes::outer(2);
  shapes::generic(3L);
  shapes::with_cold_part(4);
  hidden(5);
  plain_c(6);
  const auto lambda = [](int value) NOINLINE {
    PROBE("lambda");
    shapes::sink = value;
  };
  lambda(7);
  for (const Probe* probe = __start_trapline_probes; probe != __stop_trapline_probes; ++probe) {
    std::printf("probe %s %p %d\n", probe->name, probe->address, static_cast<int>(probe->line));
  }
  std::printf("entry outer %p 0\n", reinterpret_cast<const void*>(&shapes::outer));
  std::printf("entry hidden %p 0\n", reinterpret_cast<const void*>(&hidden));
  std::printf("entry plain_c %p 0\n", reinterpret_cast<const void*>(&plain_c));
  std::printf("entry bare_label %p 0\n", reinterpret_cast<const void*>(&bare_label));
}
