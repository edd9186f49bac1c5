// Scenes for tests of faults: memory with an edge behind which nothing can be accessed, and
// processes that end in ways to be looked at.
#pragma once

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "trapline/linux/guarded_access.h"

namespace trapline::linux_port {

[[nodiscard]] inline std::size_t page_size() {
  return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// What is wrong with the page behind the edge.
enum class Defect : std::uint8_t { unmapped, no_access, read_only, truncated };

[[nodiscard]] inline std::string name_of(Defect defect) {
  switch (defect) {
    case Defect::unmapped:
      return "Unmapped";
    case Defect::no_access:
      return "NoAccess";
    case Defect::read_only:
      return "ReadOnly";
    case Defect::truncated:
      break;
  }
  return "Truncated";
}

[[nodiscard]] inline fault::FaultKind kind_of(Defect defect) {
  switch (defect) {
    case Defect::unmapped:
      return fault::FaultKind::unmapped;
    case Defect::no_access:
    case Defect::read_only:
      return fault::FaultKind::no_permission;
    case Defect::truncated:
      break;
  }
  return fault::FaultKind::no_backing;
}

// Good pages, then one bad page, then one good page: `edge` is where the bad one begins.
class Cliff {
 public:
  explicit Cliff(Defect defect, std::size_t good_bytes = 16 * 4096)
      : page_(page_size()), good_((good_bytes + page_ - 1) / page_ * page_) {
    const int protection = PROT_READ | PROT_WRITE;
    begin_ = static_cast<std::uint8_t*>(
        ::mmap(nullptr, size(), protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    check(begin_ != MAP_FAILED, "mmap");
    switch (defect) {
      case Defect::unmapped:
        check(::munmap(edge(), page_) == 0, "munmap");
        break;
      case Defect::no_access:
        check(::mprotect(edge(), page_, PROT_NONE) == 0, "mprotect");
        break;
      case Defect::read_only:
        check(::mprotect(edge(), page_, PROT_READ) == 0, "mprotect");
        break;
      case Defect::truncated:
        map_a_truncated_file();
        break;
    }
  }
  Cliff(const Cliff&) = delete;
  Cliff& operator=(const Cliff&) = delete;
  ~Cliff() { ::munmap(begin_, size()); }

  [[nodiscard]] std::uint8_t* begin() const { return begin_; }
  [[nodiscard]] std::uint8_t* edge() const { return begin_ + good_; }
  // Where the good page behind the bad one begins.
  [[nodiscard]] std::uint8_t* far_side() const { return edge() + page_; }
  template <typename T>
  [[nodiscard]] T* at_edge(std::ptrdiff_t offset = 0) const {
    return reinterpret_cast<T*>(edge() + offset);
  }
  [[nodiscard]] std::uintptr_t edge_address() const {
    return reinterpret_cast<std::uintptr_t>(edge());
  }

 private:
  [[nodiscard]] std::size_t size() const { return good_ + 2 * page_; }
  static void check(bool condition, const char* call) {
    if (condition) return;
    std::perror(call);
    std::abort();
  }
  // A file that ends at the edge, though its mapping goes on.
  void map_a_truncated_file() {
    std::FILE* const file = std::tmpfile();
    check(file != nullptr, "tmpfile");
    check(::ftruncate(::fileno(file), static_cast<off_t>(good_ + page_)) == 0, "ftruncate");
    check(::mmap(begin_, good_ + page_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                 ::fileno(file), 0) != MAP_FAILED,
          "mmap");
    check(::ftruncate(::fileno(file), static_cast<off_t>(good_)) == 0, "ftruncate");
    std::fclose(file);
  }

  std::size_t page_;
  std::size_t good_;
  std::uint8_t* begin_ = nullptr;
};

// Runs `body` in a forked child, which exits with 0 after it; the status as waitpid gives it.
template <typename Body>
[[nodiscard]] int status_of_child(Body body) {
  std::fflush(nullptr);  // what is buffered would be written twice
  const pid_t child = ::fork();
  if (child == 0) {
    body();
    ::_exit(0);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

// For EXPECT_EQ: "exit 0", "signal 11".
[[nodiscard]] inline std::string text_of_status(int status) {
  if (WIFEXITED(status)) return "exit " + std::to_string(WEXITSTATUS(status));
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
  return "status " + std::to_string(status);
}

}  // namespace trapline::linux_port
