// How long names take to resolve in a running process: bench_symbol_lookup PID EXPRESSION...
// Each one in an image of its own, as a new command would have; the files are in the page cache.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>

#include "symbols/resolver.h"

namespace {

using namespace trapline;

class Memory final : public MemoryReader {
 public:
  explicit Memory(ProcessId pid)
      : fd_(::open(("/proc/" + std::to_string(pid.value) + "/mem").c_str(), O_RDONLY | O_CLOEXEC)) {
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() override { ::close(fd_); }
  [[nodiscard]] std::size_t read(RemoteAddress address, std::span<std::byte> destination) override {
    const ssize_t count =
        ::pread(fd_, destination.data(), destination.size(), static_cast<off_t>(address.value()));
    return count < 0 ? 0 : static_cast<std::size_t>(count);
  }

 private:
  int fd_;
};

std::string answer_to(ProcessId pid, const char* text) {
  const auto expression = symbols::parse_expression(text);
  if (!expression) return expression.error().reason;
  const auto image = symbols::ProcessImage::open(pid);
  if (!image) return image.error().message;
  Memory memory(pid);
  const auto object = symbols::resolve_object(**image, memory, *expression);
  if (!object) return object.error().message;
  return object->type.name + ", " + std::to_string(object->length.value) + " bytes";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: bench_symbol_lookup PID EXPRESSION...\n");
    return 2;
  }
  const ProcessId pid{std::atoi(argv[1])};
  for (const char* const text : std::span(argv + 2, static_cast<std::size_t>(argc) - 2)) {
    const auto begin = std::chrono::steady_clock::now();
    const std::string answer = answer_to(pid, text);
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - begin;
    std::printf("trapline %8.1f ms  %-32s %s\n", time.count(), text, answer.c_str());
  }
  return 0;
}
