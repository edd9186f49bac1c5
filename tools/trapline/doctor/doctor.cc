#include "tools/trapline/doctor/doctor.h"

#include <cstdio>
#include <string>

#include "tools/trapline/doctor/findings.h"
#include "tools/trapline/messages.h"

namespace trapline::command {

int run_doctor(const DoctorOptions& options) {
  const Findings findings = examine();
  const std::string text = options.json ? to_json(findings) : to_text(findings);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    print_output_failure();
    return kExitNothingWatched;
  }
  return findings.can_watch() ? 0 : 1;
}

}  // namespace trapline::command
