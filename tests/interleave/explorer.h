// Runs a small concurrent program under every schedule that has at most so many preemptions.
//
// As CHESS does (Musuvathi et al., OSDI 2008): each run is deterministic and starts from the
// beginning; the choices made in it are a path through a tree that is walked depth first; nothing
// is stored but that path. A choice is which context goes on where the program announces an
// operation (ports/fake/scheduler.h), whether a store stays in the store buffer, and whether a wait
// returns early. Switching away from a context that could go on, and each rare outcome, costs one
// preemption; switching where a context sleeps or ends is free. Few bugs need more than two.
//
// A violation is a broken rule that the program or the fake port reports, a deadlock, or a run
// without end. It carries the steps that led there, and the choices, with which replay finds it
// again.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "interleave/fiber.h"
#include "ports/fake/scheduler.h"
#include "ports/fake/shared_memory.h"

namespace trapline::interleave {

class Explorer;

// What is explored. Its threads share only what the fake port's words and mutexes guard, and what
// it reads between steps; nothing else runs between two operations.
class Program {
 public:
  Program() = default;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  virtual ~Program() = default;

  // Explorer::kMaxThreads at most.
  [[nodiscard]] virtual std::size_t thread_count() const = 0;
  // Makes everything anew, alone. It chooses its own context: explorer.set_current().
  virtual void begin(Explorer& explorer) = 0;
  // After begin: which context each thread starts in.
  [[nodiscard]] virtual fake::Context& context(std::size_t thread) = 0;
  virtual void run(std::size_t thread) = 0;
  // When all threads have ended: checks. Alone, as the first thread's context.
  virtual void end() = 0;
  // The run was broken off: what begin made must not be destroyed in order.
  virtual void abandon() = 0;
  // What the thread does. A schedule calls it A, B, C or D.
  [[nodiscard]] virtual std::string describe(std::size_t thread) const = 0;
};

struct Violation {
  std::string message;
  std::vector<std::string> steps{};
  std::string choices{};  // for replay
};

struct Report {
  std::uint64_t schedules = 0;
  double seconds = 0;
  std::optional<Violation> violation = std::nullopt;
};

// The violation's message, its steps one a line, and its choices.
[[nodiscard]] std::string text_of(const Violation& violation);

class Explorer final : public fake::Scheduler {
 public:
  static constexpr std::size_t kMaxThreads = 4;

  Explorer();

  // Until all schedules have run, or one violates something.
  [[nodiscard]] Report explore(Program& program, unsigned preemptions);
  // One schedule, by the choices of a violation that was found with the same bound.
  [[nodiscard]] Report replay(Program& program, unsigned preemptions, const std::string& choices);

  // --- for programs, in a run ---
  // Others may run here.
  void step(const char* text) { before({.kind = fake::Operation::Kind::step, .text = text}); }
  // Whether this run is the one that is written down, and adding a line to it. Not in begin.
  [[nodiscard]] bool is_writing() const { return is_writing_ && has_begun_; }
  void note(const std::string& text);
  [[noreturn]] void violation(const char* message) override;
  // The thread that runs; kMaxThreads while none does.
  [[nodiscard]] std::size_t running() const { return running_; }

  // --- fake::Scheduler ---
  void before(const fake::Operation& operation) override;
  [[nodiscard]] bool has_rare_outcome(const fake::Operation& operation) override;
  void sleep_on(const fake::Operation& operation) override;
  void wake_all(const void* object) override;

 private:
  static constexpr std::size_t kDirector = kMaxThreads;  // runs begin and end, alone
  // No program of this size needs as many.
  static constexpr std::uint32_t kMaxSteps = 100'000;

  struct Choice {
    std::uint8_t chosen = 0;
    std::uint8_t count = 0;
  };
  struct Thread {
    const fake::Context* own = nullptr;
    fake::Context* context = nullptr;  // its own, or that of a CPU it runs work on
    const void* sleeps_on = nullptr;
    std::string waits_for;  // as text, while a schedule is written down
  };
  struct FiberArgument {
    Explorer* explorer = nullptr;
    std::size_t thread = 0;
  };

  [[nodiscard]] bool run_once(Program& program, unsigned preemptions);
  [[nodiscard]] bool next_path();
  [[nodiscard]] Violation describe(Program& program, unsigned preemptions);
  [[nodiscard]] unsigned choose(unsigned count);
  void direct();
  void end_thread();
  void go_on_with_any();
  void switch_to(std::size_t thread);
  [[nodiscard]] std::size_t nth_runnable(unsigned index, std::uint32_t among) const;
  [[nodiscard]] std::string text_of(const fake::Operation& operation);
  [[nodiscard]] std::string label(const char* kind, const void* object);
  void write_down(const std::string& what);

  Fiber main_;
  std::array<std::unique_ptr<Fiber>, kMaxThreads + 1> fibers_;
  std::array<FiberArgument, kMaxThreads + 1> arguments_;
  std::array<Thread, kMaxThreads + 1> threads_;

  // Of the exploration: the path through the tree.
  std::vector<Choice> path_;

  // Of one run.
  Program* program_ = nullptr;
  std::size_t position_ = 0;  // in path_
  unsigned budget_ = 0;       // preemptions left
  std::size_t running_ = kDirector;
  std::uint32_t runnable_ = 0;  // a bit for each thread that could run, the running one included
  std::uint32_t ended_ = 0;
  bool has_begun_ = false;
  std::uint32_t step_count_ = 0;
  bool has_done_nothing_ = false;  // since it was switched to: switching away again is pointless
  std::optional<std::string> message_;

  // While a schedule is written down.
  bool is_writing_ = false;
  std::vector<std::string> steps_;
  std::vector<std::pair<std::string, const void*>> objects_;
};

}  // namespace trapline::interleave
