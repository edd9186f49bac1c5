#include "tools/trapline/watch/report_output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "ports/linux/monotonic_clock.h"
#include "report/json_reporter.h"
#include "report/summary_reporter.h"
#include "report/text_reporter.h"

namespace trapline::command {
namespace {

bool wants_json(const WatchOptions& options) {
  if (options.format != OutputFormat::automatic) return options.format == OutputFormat::json;
  return !options.output.empty() || ::isatty(STDOUT_FILENO) == 0;
}

// Colour on a terminal, unless NO_COLOR (https://no-color.org) is set to anything.
bool wants_colour(const WatchOptions& options) {
  const char* const no_colour =
      std::getenv("NO_COLOR");  // NOLINT(concurrency-mt-unsafe): one thread
  const bool is_terminal = options.output.empty() && ::isatty(STDOUT_FILENO) != 0;
  return is_terminal && (no_colour == nullptr || *no_colour == '\0');
}

// Of standard error.
std::size_t terminal_columns() {
  constexpr std::size_t kUsual = 80;
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsual;
  return size.ws_col;
}

std::unique_ptr<report::Reporter> make_reporter(const WatchOptions& options,
                                                report::Output& records, report::Output& remarks) {
  const bool json = wants_json(options);
  if (options.summary) {
    using Format = report::SummaryReporter::Format;
    auto summary = std::make_unique<report::SummaryReporter>(records, remarks,
                                                             json ? Format::json : Format::text);
    if (!json && ::isatty(STDERR_FILENO) != 0)
      summary->show_on({.now = linux_port::monotonic_now, .columns = terminal_columns});
    return summary;
  }
  if (json) return std::make_unique<report::JsonReporter>(records);
  const report::TextReporter::Style style{
      .colour = wants_colour(options),
      .show_callers = options.stack != linux_port::StackMode::none};
  return std::make_unique<report::TextReporter>(records, remarks, style);
}

}  // namespace

ReportOutput::ReportOutput(report::Output records)
    : records_(std::move(records)),
      remarks_(report::Output::borrow(STDERR_FILENO, "standard error")) {}

Result<std::unique_ptr<ReportOutput>> ReportOutput::open(const WatchOptions& options,
                                                         int stop_descriptor) {
  auto records =
      options.output.empty()
          ? Result<report::Output>(report::Output::borrow(STDOUT_FILENO, "standard output"))
          : report::Output::create(options.output);
  if (!records) return std::unexpected(std::move(records.error()));
  std::unique_ptr<ReportOutput> output(new ReportOutput(std::move(*records)));
  output->records_.stop_waiting_on(stop_descriptor);
  output->remarks_.stop_waiting_on(stop_descriptor);
  output->reporter_ = make_reporter(options, output->records_, output->remarks_);
  return output;
}

void ReportOutput::hurry() {
  records_.hurry();
  remarks_.hurry();
}

}  // namespace trapline::command
