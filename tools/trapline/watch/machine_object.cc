#include "tools/trapline/watch/machine_object.h"

#include <fmt/format.h>

#include <utility>
#include <variant>

#include "ports/linux/kernel_memory.h"
#include "symbols/expression.h"
#include "symbols/kernel_variables.h"
#include "symbols/resolver.h"

namespace trapline::command {
namespace {

WatchedObject object_at(const WatchOptions& options, RemoteAddress address, ByteCount length) {
  WatchedObject object;
  const bool executes = options.access == Access::execute;
  object.request =
      Request{address, executes ? ByteCount{1} : options.length.value_or(length), options.access};
  if (executes) {
    object.type.name = "function";
  } else {
    object.type = symbols::ValueType{symbols::ValueKind::bytes, object.request.length, {}, false};
  }
  return object;
}

Result<MachineObject> find_address(const WatchOptions& options,
                                   const symbols::ExplicitAddress& explicit_address) {
  MachineObject found;
  found.object = object_at(options, explicit_address.address,
                           explicit_address.length.value_or(symbols::kDefaultLength));
  found.in_kernel = linux_port::is_kernel_address(explicit_address.address);
  if (!found.in_kernel)
    found.object.notes.push_back(
        "a user address means something else in each process: hits of all of them are reported");
  return found;
}

Result<MachineObject> find_in_file(const WatchOptions& options, symbols::NamedObject name) {
  auto file = symbols::identify_file(std::exchange(name.file, {}));
  if (!file) return std::unexpected(std::move(file.error()));
  auto variable = options.access == Access::execute
                      ? symbols::find_file_function(*file, symbols::Expression(std::move(name)))
                      : symbols::find_file_variable(*file, symbols::Expression(std::move(name)));
  if (!variable) return std::unexpected(std::move(variable.error()));
  const symbols::FileMappings mappings = symbols::find_mappings(*file);
  MachineObject found;
  found.object = object_at(options,
                           mappings.mappings.empty()
                               ? symbols::linked_address(*file, *variable)
                               : symbols::address_in(mappings.mappings.front(), *variable),
                           variable->length);
  if (options.access != Access::execute)
    found.object.type = with_length(variable->type, found.object.request.length);
  found.object.notes = variable->notes;
  if (mappings.unreadable_processes > 0)
    found.object.notes.push_back(fmt::format(
        "{} processes may not be looked at; if they have {}, they are not watched: run as root",
        mappings.unreadable_processes, file->path));
  found.file = FileObject{*std::move(file), *std::move(variable)};
  return found;
}

// Steps into a structure would need the kernel's types.
Result<MachineObject> find_in_kernel(const WatchOptions& options,
                                     const symbols::NamedObject& name) {
  if (!name.steps.empty())
    return fail(ErrorCode::bad_type,
                fmt::format("members and elements of kernel variables are not known: give an "
                            "address, '*0xADDR:LEN', or a program's or library's file: FILE:{}",
                            options.what));
  MachineObject found;
  found.in_kernel = true;
  const auto explain = [&](Failure failure) {
    if (failure.error.code == ErrorCode::unknown_name)
      failure.message += fmt::format(
          "; for a variable of a program or library in all its processes, name the file: FILE:{}",
          options.what);
    return std::unexpected(std::move(failure));
  };
  if (options.access == Access::execute) {
    auto function = symbols::find_kernel_function(name.name);
    if (!function) return explain(std::move(function.error()));
    found.object = object_at(options, function->entry, ByteCount{1});
    found.object.notes = std::move(function->notes);
    return found;
  }
  auto variable = symbols::find_kernel_variable(name.name);
  if (!variable) return explain(std::move(variable.error()));
  found.object = object_at(options, variable->address, variable->length);
  if (found.object.request.length.value <= 8) {
    // What it is a number of, no symbol tells; as one it can be compared.
    found.object.type = symbols::ValueType{
        symbols::ValueKind::unsigned_integer, found.object.request.length, {}, false};
  }
  found.object.notes = std::move(variable->notes);
  return found;
}

}  // namespace

Result<MachineObject> find_machine_object(const WatchOptions& options,
                                          const DebugArchitecture& machine) {
  const auto expression = symbols::parse_expression(options.what);
  if (!expression) return std::unexpected(syntax_failure(options.what, expression.error()));
  auto found = [&]() -> Result<MachineObject> {
    if (const auto* address = std::get_if<symbols::ExplicitAddress>(&*expression))
      return find_address(options, *address);
    const auto& name = std::get<symbols::NamedObject>(*expression);
    return name.file.empty() ? find_in_kernel(options, name) : find_in_file(options, name);
  }();
  if (!found) return found;
  auto planned = with_plan(options, machine, std::move(found->object));
  if (!planned) return std::unexpected(std::move(planned.error()));
  found->object = *std::move(planned);
  return found;
}

}  // namespace trapline::command
