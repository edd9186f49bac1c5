#include "interleave/explorer.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace trapline::interleave {
namespace {

constexpr std::uint32_t bit(std::size_t thread) {
  return std::uint32_t{1} << thread;
}
// As a schedule calls it.
std::string letter_of(std::size_t thread) {
  return std::string(1, static_cast<char>('A' + thread));
}

}  // namespace

std::string text_of(const Violation& violation) {
  std::string text = violation.message + "\n";
  for (const std::string& step : violation.steps) text += "  " + step + "\n";
  return text + "choices: " + violation.choices + "\n";
}

Explorer::Explorer() {
  for (std::size_t thread = 0; thread < fibers_.size(); ++thread) {
    arguments_[thread] = {this, thread};
    const auto entry = [](void* argument) {
      const auto& it = *static_cast<FiberArgument*>(argument);
      for (;;) {
        if (it.thread == kDirector) {
          it.explorer->direct();
        } else {
          it.explorer->program_->run(it.thread);
          it.explorer->end_thread();
        }
      }
    };
    fibers_[thread] = std::make_unique<Fiber>(entry, &arguments_[thread]);
  }
}

Report Explorer::explore(Program& program, unsigned preemptions) {
  const auto begin = std::chrono::steady_clock::now();
  Report report;
  path_.clear();
  do {
    ++report.schedules;
    if (!run_once(program, preemptions)) {
      report.violation = describe(program, preemptions);
      break;
    }
  } while (next_path());
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return report;
}

Report Explorer::replay(Program& program, unsigned preemptions, const std::string& choices) {
  path_.clear();
  // How many there were to choose from is not known any more.
  for (const char digit : choices) path_.push_back({static_cast<std::uint8_t>(digit - '0'), 0});
  Report report{.schedules = 1};
  if (!run_once(program, preemptions)) report.violation = describe(program, preemptions);
  return report;
}

bool Explorer::next_path() {
  while (!path_.empty()) {
    if (++path_.back().chosen < path_.back().count) return true;
    path_.pop_back();
  }
  return false;
}

// Again along the same path, writing it down.
Violation Explorer::describe(Program& program, unsigned preemptions) {
  Violation violation{.message = *message_};
  for (const Choice& choice : path_) violation.choices += static_cast<char>('0' + choice.chosen);
  is_writing_ = true;
  if (run_once(program, preemptions) || message_ != violation.message)
    violation.message +=
        " (another run of this schedule went differently: it is not deterministic)";
  is_writing_ = false;
  violation.steps = std::move(steps_);
  return violation;
}

// Whether nothing was violated.
bool Explorer::run_once(Program& program, unsigned preemptions) {
  program_ = &program;
  position_ = 0;
  budget_ = preemptions;
  runnable_ = 0;
  ended_ = 0;
  has_begun_ = false;
  step_count_ = 0;
  message_.reset();
  for (Thread& thread : threads_) thread.own = nullptr;
  steps_.clear();
  objects_.clear();
  running_ = kDirector;
  set_active(this);
  Fiber::switch_between(main_, *fibers_[kDirector]);
  set_active(nullptr);
  if (!message_) return true;
  for (const auto& fiber : fibers_) fiber->restart();
  program.abandon();
  return false;
}

void Explorer::direct() {
  program_->begin(*this);
  const std::size_t count = program_->thread_count();
  for (std::size_t thread = 0; thread < count; ++thread) {
    threads_[thread].context = &program_->context(thread);
    threads_[thread].own = threads_[thread].context;
    runnable_ |= bit(thread);
  }
  threads_[kDirector].context = threads_[0].context;
  has_begun_ = true;
  for (std::size_t thread = 0; is_writing() && thread < count; ++thread)
    note(letter_of(thread) + ": " + program_->describe(thread));
  go_on_with_any();
  program_->end();
  Fiber::switch_between(*fibers_[kDirector], main_);
}

void Explorer::end_thread() {
  // Its delayed stores become visible some time after its last operation.
  if (!current().stores.empty()) step("ends");
  current().stores.drain();
  current().has_ended = true;
  runnable_ &= ~bit(running_);
  ended_ |= bit(running_);
  go_on_with_any();
}

// The running thread cannot go on. Free of charge.
void Explorer::go_on_with_any() {
  if (runnable_ != 0) {
    switch_to(nth_runnable(choose(static_cast<unsigned>(std::popcount(runnable_))), runnable_));
    return;
  }
  if (ended_ == bit(program_->thread_count()) - 1) {
    switch_to(kDirector);
    return;
  }
  for (std::size_t thread = 0; is_writing() && thread < program_->thread_count(); ++thread) {
    if ((ended_ & bit(thread)) == 0)
      note(letter_of(thread) + " sleeps since it " + threads_[thread].waits_for);
  }
  violation("deadlock");
}

void Explorer::switch_to(std::size_t thread) {
  const std::size_t from = running_;
  threads_[from].context = &current();
  running_ = thread;
  set_current(*threads_[thread].context);
  has_done_nothing_ = true;
  Fiber::switch_between(*fibers_[from], *fibers_[thread]);
}

std::size_t Explorer::nth_runnable(unsigned index, std::uint32_t among) const {
  for (; index > 0; --index) among &= among - 1;
  return static_cast<std::size_t>(std::countr_zero(among));
}

unsigned Explorer::choose(unsigned count) {
  if (count == 1) return 0;
  if (position_ == path_.size()) path_.push_back({0, static_cast<std::uint8_t>(count)});
  Choice& choice = path_[position_++];
  if (choice.count == 0) choice.count = static_cast<std::uint8_t>(count);
  if (choice.count != count || choice.chosen >= count) {
    std::fprintf(stderr,
                 "explorer: the program is not deterministic, or the choices not its own\n");
    std::abort();
  }
  return choice.chosen;
}

void Explorer::before(const fake::Operation& operation) {
  if (++step_count_ > kMaxSteps) violation("the run does not end");
  const std::uint32_t others = runnable_ & ~bit(running_);
  if (budget_ != 0 && others != 0 && !has_done_nothing_) {
    const unsigned chosen = choose(1 + static_cast<unsigned>(std::popcount(others)));
    if (chosen != 0) {
      --budget_;
      if (is_writing()) write_down(" is preempted");
      switch_to(nth_runnable(chosen - 1, others));
    }
  }
  has_done_nothing_ = false;
  if (is_writing()) write_down(": " + text_of(operation));
}

bool Explorer::has_rare_outcome(const fake::Operation& operation) {
  // With nobody else left, nobody could tell.
  if (budget_ == 0 || (runnable_ & ~bit(running_)) == 0) return false;
  if (choose(2) == 0) return false;
  --budget_;
  if (is_writing()) {
    steps_.back() += operation.kind == fake::Operation::Kind::store
                         ? ", which stays in the store buffer"
                         : ", and returns early";
  }
  return true;
}

void Explorer::sleep_on(const fake::Operation& operation) {
  Thread& thread = threads_[running_];
  thread.sleeps_on = operation.object;
  if (is_writing()) {
    thread.waits_for = text_of(operation);
    write_down(" sleeps");
  }
  runnable_ &= ~bit(running_);
  if (running_ == kDirector) violation("it waits for something while nothing else runs");
  go_on_with_any();
  // Woken: a mutex is taken without further announcement; a word is looked at again, announced.
  has_done_nothing_ = operation.kind != fake::Operation::Kind::lock;
}

void Explorer::wake_all(const void* object) {
  for (std::size_t thread = 0; thread < kMaxThreads; ++thread) {
    if (threads_[thread].sleeps_on != object) continue;
    threads_[thread].sleeps_on = nullptr;
    runnable_ |= bit(thread);
  }
}

void Explorer::violation(const char* message) {
  message_ = message;
  note(std::string("VIOLATION: ") + message);
  for (Thread& thread : threads_) thread.sleeps_on = nullptr;
  Fiber::switch_between(*fibers_[running_], main_);
  std::abort();  // restart() keeps anybody from coming back
}

void Explorer::note(const std::string& text) {
  if (is_writing()) steps_.push_back(text);
}

// Numbers the objects of a kind in the order in which the threads meet them.
std::string Explorer::label(const char* kind, const void* object) {
  unsigned count = 0;
  for (const auto& [its_kind, it] : objects_) {
    if (its_kind != kind) continue;
    ++count;
    if (it == object) return its_kind + " " + std::to_string(count);
  }
  objects_.emplace_back(kind, object);
  return std::string(kind) + " " + std::to_string(count + 1);
}

void Explorer::write_down(const std::string& what) {
  note((running_ == kDirector ? "At the end" : letter_of(running_)) + what);
}

std::string Explorer::text_of(const fake::Operation& operation) {
  using Kind = fake::Operation::Kind;
  const std::string value = std::to_string(operation.value);
  const auto word = [&] {
    for (std::size_t thread = 0; thread < program_->thread_count(); ++thread) {
      if (threads_[thread].own != nullptr && operation.object == &threads_[thread].own->slot.held)
        return "the read lock slot of " + letter_of(thread);
    }
    return label("word", operation.object);
  };
  switch (operation.kind) {
    case Kind::load:
      return "looks at " + word();
    case Kind::store:
      return "sets " + word() + " to " + value;
    case Kind::fence:
      return "heavy fence";
    case Kind::lock:
      return "locks " + label("mutex", operation.object);
    case Kind::wait:
      return "waits while " + word() + " is " + value;
    case Kind::wake:
      return "wakes those that wait for " + word();
    case Kind::start_cpu:
      return "starts CPU " + value;
    case Kind::stop_cpu:
      return "stops CPU " + value;
    case Kind::step:
      return operation.text;
  }
  return "?";
}

}  // namespace trapline::interleave
