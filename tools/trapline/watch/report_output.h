// Where the report goes and in which form.
#pragma once

#include <memory>

#include "base/failure.h"
#include "report/output.h"
#include "report/reporter.h"
#include "tools/trapline/watch/watch_options.h"

namespace trapline::command {

class ReportOutput {
 public:
  // Opens it, before anything is done to a target. A reader that has stopped reading is waited for
  // only until `stop_descriptor` is readable: Ctrl-C has to work then, too.
  [[nodiscard]] static Result<std::unique_ptr<ReportOutput>> open(const WatchOptions& options,
                                                                  int stop_descriptor);

  [[nodiscard]] report::Reporter& reporter() { return *reporter_; }
  // From now on such a reader is waited for only a moment: the watch is over.
  void hurry();

 private:
  explicit ReportOutput(report::Output records);

  report::Output records_;  // hits
  report::Output remarks_;  // everything else, for text
  std::unique_ptr<report::Reporter> reporter_;
};

}  // namespace trapline::command
