// The program: C++ names of its own, then what its C parts and its library tell. Stays until its
// standard input ends.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>

#include "objects.h"
#include "tell.h"

namespace app {

int in_namespace;
inline namespace v2 {
int in_inline_namespace;
}
namespace {
int hidden;
}

struct Base {
  int base_member;
};
struct Other {
  int other_member;
};
class Derived : public Base, public Other {
 public:
  static int instances;
  int own;
};
int Derived::instances;
Derived derived;
[[gnu::used]] int& reference = derived.own;
[[gnu::used]] Derived& object_reference = derived;

struct Virtual : virtual Base {
  int plain;
};
Virtual virtual_object;

template <typename T, int N>
struct Vec {
  static T count;
};
template <typename T, int N>
T Vec<T, N>::count;

enum class Level : signed char { low = -128, high = 127 };
enum class Mask : std::uint8_t { none, bit7 = 0x80, bit0 = 1 };
struct Empty {};
struct Tagged : Empty, Base {
  Level level;
  Mask mask;
};
struct Widget {
  virtual ~Widget() = default;
};
Level level;
Tagged tagged;
std::unique_ptr<int> owner;
Widget widget;
[[gnu::used]] Widget* widget_pointer = &widget;

std::atomic<int> atomic_int;
std::atomic<std::uint64_t> atomic_wide;
thread_local int per_thread_cxx;

[[gnu::noinline]] void overloaded(int value) {
  static int calls_int;
  calls_int += value;
  TELL("signed", "app::overloaded::calls_int", calls_int);
  TELL("signed", "overloaded::calls_int", calls_int);
}
[[gnu::noinline]] void overloaded(char value) {
  in_namespace = value;
}
template <typename T>
[[gnu::noinline]] void generic(T value) {
  in_namespace = static_cast<int>(value);
}
struct Callable {
  [[gnu::noinline]] void operator()(int value) { in_namespace = value; }
};

volatile int sink;
[[gnu::always_inline]] inline void always_inlined(int value) {
  sink = value;
}
[[gnu::noinline]] void uses_inlined() {
  always_inlined(1);
  always_inlined(2);
}

}  // namespace app

namespace other {
static int in_namespace;
}

static int hidden;

int main() {
  app::per_thread_cxx = 1;
  app::hidden = 2;
  other::in_namespace = shared_counter + library_node.len;
  TELL("signed", "app::in_namespace", app::in_namespace);
  TELL("signed", "other::in_namespace", other::in_namespace);
  TELL("signed", "app::in_inline_namespace", app::in_inline_namespace);
  TELL("signed", "app::v2::in_inline_namespace", app::in_inline_namespace);
  TELL("signed", "in_inline_namespace", app::in_inline_namespace);
  TELL("signed", "app::hidden", app::hidden);
  TELL("signed", "app::(anonymous namespace)::hidden", app::hidden);
  TELL("signed", "hidden", hidden);
  TELL("signed", "app::Derived::instances", app::Derived::instances);
  TELL("signed", "Derived::instances", app::Derived::instances);
  TELL("signed", "app::derived.own", app::derived.own);
  TELL("signed", "app::derived.base_member", app::derived.base_member);
  TELL("signed", "app::derived.other_member", app::derived.other_member);
  TELL("signed", "app::reference", app::derived.own);
  TELL("signed", "app::object_reference.other_member", app::derived.other_member);
  TELL("signed", "app::virtual_object.plain", app::virtual_object.plain);
  app::Vec<int, 4>::count = 4;
  app::Vec<char, 8>::count = 8;
  TELL("signed", "app::Vec<int, 4>::count", (app::Vec<int, 4>::count));
  TELL("signed", "Vec<int,4>::count", (app::Vec<int, 4>::count));
  TELL("character", "app::Vec<char, 8>::count", (app::Vec<char, 8>::count));
  TELL("enumeration", "app::level", app::level);
  TELL("bytes", "app::derived", app::derived);
  TELL("bytes", "app::tagged", app::tagged);
  TELL("enumeration", "app::tagged.mask", app::tagged.mask);
  TELL("pointer", "app::owner", app::owner);
  TELL("pointer", "app::widget", app::widget);
  TELL("signed", "app::atomic_int", app::atomic_int);
  TELL("unsigned", "app::atomic_wide", app::atomic_wide);
  app::overloaded(1);
  app::overloaded('c');
  app::generic(5L);
  app::Callable()(1);
  app::uses_inlined();
  TELL_FUNCTION("app::overloaded(int)", static_cast<void (*)(int)>(app::overloaded));
  TELL_FUNCTION("overloaded(char)", static_cast<void (*)(char)>(app::overloaded));
  TELL_FUNCTION("app::generic", app::generic<long>);
  TELL_FUNCTION("app::generic<long>", app::generic<long>);
  TELL_FUNCTION("app::uses_inlined", app::uses_inlined);
  tell_c_part();
  tell_one();
  tell_two();
  tell_library();
  std::puts("ready");
  std::fflush(stdout);
  return std::getchar() == EOF ? 0 : 1;
}
