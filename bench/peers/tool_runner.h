// Runs the tools of the table for real: as commands, their files in a folder of the run.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "bench/peers/machine.h"
#include "bench/peers/rounds.h"

namespace trapline::peers {

struct ToolPlaces {
  std::string trapline;  // the command
  std::string loop;      // the target
  std::string address;   // of its variable, "0x..."
  std::string folder;    // for files of a run; they are written anew by each
};

class ToolRunner final : public Runner {
 public:
  // `limit`: for one run. A tool that takes longer is killed, and missing.
  ToolRunner(ToolPlaces places, std::vector<CollectorState> collectors, std::chrono::seconds limit)
      : places_(std::move(places)), collectors_(std::move(collectors)), limit_(limit) {}

  [[nodiscard]] Result<Run> run(const Tool& tool, std::uint64_t writes) override;

 private:
  [[nodiscard]] Result<std::string> program_of(const Tool& tool) const;
  [[nodiscard]] Result<ReportedHits> count(const Tool& tool, const std::string& program) const;
  [[nodiscard]] std::string file(std::string_view name) const;

  ToolPlaces places_;
  std::vector<CollectorState> collectors_;
  std::chrono::seconds limit_;
};

}  // namespace trapline::peers
