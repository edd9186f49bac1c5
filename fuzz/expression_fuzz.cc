// deps: trapline_symbols
//
// Any text as a watch target: it is taken or refused with a position inside of it, and what is
// taken survives being written down and read again. Names are split and matched too.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "symbols/expression.h"
#include "symbols/qualified_name.h"

namespace {

using trapline::symbols::AccessStep;
using trapline::symbols::NamedObject;

void require(bool condition) {
  if (!condition) std::abort();
}

// The whole is dereferenced last, and that is written first.
std::string write(const NamedObject& object) {
  std::string text = object.file.empty() ? "" : object.file + ":";
  text += object.name;
  for (const AccessStep& step : object.steps) {
    switch (step.kind) {
      case AccessStep::Kind::member:
        text += "." + step.name;
        break;
      case AccessStep::Kind::arrow:
        text += "->" + step.name;
        break;
      case AccessStep::Kind::element:
        text += "[" + std::to_string(step.index) + "]";
        break;
      case AccessStep::Kind::dereference:
        text.insert(0, "*");
        break;
    }
  }
  return text;
}

void check_object(const NamedObject& object) {
  require(!object.name.empty());
  const auto name = trapline::symbols::split_name(object.name);
  require(trapline::symbols::match_name(name, name) == trapline::symbols::NameMatch::exact);
  const auto again = trapline::symbols::parse_expression(write(object));
  require(again.has_value());
  const auto* const same = std::get_if<NamedObject>(&*again);
  require(same != nullptr && same->file == object.file && same->name == object.name &&
          same->steps.size() == object.steps.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto expression = trapline::symbols::parse_expression(text);
  if (!expression) {
    require(expression.error().position <= size);
    require(!expression.error().reason.empty());
    return 0;
  }
  if (const auto* const object = std::get_if<NamedObject>(&*expression)) check_object(*object);
  return 0;
}
