#include "tools/trapline/doctor/doctor.h"

#include <fmt/format.h>

#include "tools/trapline/doctor/findings.h"

namespace trapline::command {

int run_doctor(const DoctorOptions& options) {
  const Findings findings = examine();
  fmt::print("{}", options.json ? to_json(findings) : to_text(findings));
  return findings.can_watch() ? 0 : 1;
}

}  // namespace trapline::command
