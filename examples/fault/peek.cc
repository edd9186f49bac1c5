// Looks at memory that may not be there: a hex dump of any address of this process, which says what
// it could not read instead of crashing.
//
//     peek [ADDRESS [LENGTH]]    without arguments: a tour of good and bad memory
#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "trapline/linux/guarded_access.h"

namespace fault = trapline::fault;

namespace {

const char* text_of(fault::FaultKind kind) {
  switch (kind) {
    case fault::FaultKind::unmapped:
      return "nothing is mapped there";
    case fault::FaultKind::no_permission:
      return "it may not be accessed";
    case fault::FaultKind::not_an_address:
      return "no memory can be there";
    case fault::FaultKind::no_backing:
      return "the file ends before it";
    default:
      return "it cannot be accessed";
  }
}

// Prints what can be read from `address` on; whether that was all. One copy for the whole range: a
// success costs what memcpy costs, and a failure says to the byte how far it came.
bool dump(const void* address, std::size_t length) {
  std::vector<unsigned char> bytes(length);
  const fault::CopyResult result = fault::try_copy(bytes.data(), address, length);
  for (std::size_t i = 0; i < result.copied; ++i) {
    std::printf("%02x%s", bytes[i], i % 16 == 15 || i + 1 == result.copied ? "\n" : " ");
  }
  if (result.is_complete()) return true;
  std::printf("%zu of %zu bytes; at %#" PRIxPTR ": %s\n", result.copied, length,
              result.error.address, text_of(result.error.kind));
  return false;
}

// Follows a list whose nodes may be damaged: as far as it goes, and never further.
struct Node {
  const Node* next;
  int value;
};
int sum_of(const Node* node) {
  int sum = 0;
  for (int i = 0; node != nullptr && i < 1000; ++i) {
    const auto value = fault::try_load(&node->value);
    const auto next = fault::try_load(&node->next);
    if (!value || !next) {
      std::printf("the list is damaged: %#" PRIxPTR "\n",
                  (value ? next.error() : value.error()).address);
      break;
    }
    sum += *value;
    node = *next;
  }
  return sum;
}

void tour() {
  const char greeting[] = "readable memory";
  std::printf("a local array:\n");
  dump(greeting, sizeof greeting);

  std::printf("null:\n");
  dump(nullptr, 8);

  // Two pages, of which the second cannot be read.
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  auto* const pages = static_cast<char*>(
      ::mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ::mprotect(pages + page, page, PROT_NONE);
  std::printf("across the end of what may be read:\n");
  dump(pages + page - 3, 8);

  const Node damaged{reinterpret_cast<const Node*>(pages + page), 3};
  const Node first{&damaged, 2};
  std::printf("sum of the list: %d\n", sum_of(&first));

  if (!fault::try_store(pages + page, 'x')) std::printf("a store there is refused\n");
  const auto length = fault::try_strnlen(greeting, 100);
  std::printf("the text has %zu characters\n", length.value_or(0));
}

}  // namespace

int main(int argc, char** argv) {
  if (!fault::install_fault_handler()) return 1;
  if (argc == 1) {
    tour();
    return 0;
  }
  const auto address = static_cast<std::uintptr_t>(std::strtoull(argv[1], nullptr, 0));
  const std::size_t length = argc > 2 ? std::strtoul(argv[2], nullptr, 0) : 64;
  return dump(reinterpret_cast<const void*>(address), length) ? 0 : 1;
}
