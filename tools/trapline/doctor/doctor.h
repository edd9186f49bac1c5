// `trapline doctor`: what this machine can watch, and why not.
#pragma once

namespace trapline::command {

struct DoctorOptions {
  bool json = false;
};

// Prints the findings. Returns the exit status: 0 if at least one collector may be used and a watch
// fires, else 1.
[[nodiscard]] int run_doctor(const DoctorOptions& options);

}  // namespace trapline::command
