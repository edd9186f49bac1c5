// A stack from call-frame information: registers and a copy of the stack in, return addresses out.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "symbols/process_image.h"
#include "trapline/base/address.h"
#include "trapline/port/user_registers.h"

namespace trapline::symbols {

class Unwinder {
 public:
  // Borrows the image, which must outlive it. At most one for an image: elfutils attaches a state
  // once.
  explicit Unwinder(ProcessImage& image);
  Unwinder(const Unwinder&) = delete;
  Unwinder& operator=(const Unwinder&) = delete;
  ~Unwinder();

  // Return addresses, innermost first, without the starting ip; as far as CFI and the copied bytes
  // reach. `stack` is memory from the stack pointer upwards, as it was at the hit: the process need
  // not be stopped now.
  [[nodiscard]] std::vector<RemoteAddress> unwind(const UserRegisters& registers,
                                                  std::span<const std::byte> stack,
                                                  std::size_t max_frames = 128);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace trapline::symbols
