#include "tools/trapline/watch/watched_object.h"

#include <fmt/format.h>

#include <utility>

#include "symbols/resolver.h"
#include "symbols/thumb.h"
#include "tools/trapline/messages.h"
#include "tools/trapline/watch/when_conditions.h"

namespace trapline::command {
namespace {

Failure plan_failure(const WatchOptions& options, const Request& request,
                     const DebugArchitecture& machine, const Error& error) {
  const auto say = [&](std::string message) { return Failure{error, std::move(message)}; };
  switch (error.code) {
    case ErrorCode::empty_range:
      return say(
          fmt::format("the size of {} is not known; give it with --length BYTES", options.what));
    case ErrorCode::range_wraps:
      return say(fmt::format(
          "{} bytes from {:#x} pass the end of the address space; use a smaller --length",
          request.length.value, request.address.value()));
    case ErrorCode::access_unsupported:
      return say(fmt::format(
          "{} cannot watch for reads alone: its debug registers know write (-t w), read or write "
          "(-t rw) and execute (-t x); use -t rw",
          machine.name));
    case ErrorCode::range_too_long: {
      const ByteCount longest = longest_plannable(request, machine);
      return say(fmt::format(
          "{} is {} bytes at {:#x}, and the {} debug registers of {} cover at most {} bytes from "
          "there; name a member or an element, or use --length {}",
          options.what, request.length.value, request.address.value(), machine.data_slots,
          machine.name, longest.value, longest.value));
    }
    default:
      return say(fmt::format("{} cannot be watched: {}", options.what, name_of(error.code)));
  }
}

Result<WatchedObject> find_function(const WatchOptions& options, symbols::ProcessImage& image,
                                    const symbols::Expression& expression) {
  const auto function = symbols::resolve_function(image, expression);
  if (!function) return std::unexpected(function.error());
  WatchedObject object;
  object.request = Request{function->entry, ByteCount{1}, Access::execute};
  object.type.name = "function";
  object.module = function->module;
  object.module_start = function->module_start;
  object.notes = function->notes;
  if (function->inlined_copies > 0) {
    object.notes.push_back(fmt::format("{} is also inlined in {} places; those calls are not seen",
                                       options.what, function->inlined_copies));
  }
  return object;
}

Result<WatchedObject> find_data(const WatchOptions& options, symbols::ProcessImage& image,
                                MemoryReader& memory, const symbols::Expression& expression) {
  auto resolved = symbols::resolve_object(image, memory, expression);
  if (!resolved) return std::unexpected(std::move(resolved.error()));
  WatchedObject object;
  object.request =
      Request{resolved->address, options.length.value_or(resolved->length), options.access};
  object.type = with_length(std::move(resolved->type), object.request.length);
  object.module = std::move(resolved->module);
  object.module_start = resolved->module_start;
  object.notes = std::move(resolved->notes);
  if (resolved->followed_pointer) {
    object.notes.push_back(
        fmt::format("{} was followed once, at the start: the watch stays at {:#x} if a pointer on "
                    "the way changes",
                    options.what, object.request.address.value()));
  }
  return object;
}

}  // namespace

Failure syntax_failure(const std::string& what, const symbols::SyntaxError& error) {
  return Failure{Error{ErrorCode::bad_syntax},
                 fmt::format("'{}' is not something to watch: {} {}", what, error.reason,
                             pointing_at(what, error.position))};
}

symbols::ValueType with_length(symbols::ValueType type, ByteCount length) {
  if (type.length == length) return type;
  type.kind = symbols::ValueKind::bytes;
  type.length = length;
  type.name.clear();
  type.is_signed = false;
  type.bits.reset();
  type.enumerators.clear();
  return type;
}

Result<WatchedObject> with_plan(const WatchOptions& options, const DebugArchitecture& machine,
                                WatchedObject object) {
  const auto plan = make_plan(object.request, machine);
  if (!plan) return std::unexpected(plan_failure(options, object.request, machine, plan.error()));
  object.plan = *plan;
  auto conditions = type_conditions(options, object.type, object.request.length);
  if (!conditions) return std::unexpected(std::move(conditions.error()));
  object.conditions = *std::move(conditions);
  return object;
}

Result<WatchedObject> find_watched_object(const WatchOptions& options, symbols::ProcessImage& image,
                                          MemoryReader& memory, const DebugArchitecture& machine) {
  const auto expression = symbols::parse_expression(options.what);
  if (!expression) return std::unexpected(syntax_failure(options.what, expression.error()));
  auto object = options.access == Access::execute ? find_function(options, image, *expression)
                                                  : find_data(options, image, memory, *expression);
  if (!object) return std::unexpected(std::move(object.error()));
  DebugArchitecture fitting = machine;
  if (options.access == Access::execute &&
      symbols::is_thumb_function(image, object->request.address)) {
    // Of a function pointer, bit 0 tells the instruction set.
    object->request.address = RemoteAddress(object->request.address.value() & ~std::uint64_t{1});
    fitting.code_length = ByteCount{2};
  }
  return with_plan(options, fitting, std::move(*object));
}

}  // namespace trapline::command
