#include "symbols/qualified_name.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace trapline::symbols {
namespace {

constexpr std::string_view kOperator = "operator";

bool is_operator(std::string_view component) {
  return component.starts_with(kOperator) &&
         (component.size() == kOperator.size() || !is_name_part(component[kOperator.size()]));
}

bool opens(char c) {
  return c == '<' || c == '(' || c == '{' || c == '[';
}
bool closes(char c) {
  return c == '>' || c == ')' || c == '}' || c == ']';
}

// The first `wanted` outside of other brackets, from `from` on; the size if there is none.
std::size_t find_outside_brackets(std::string_view text, char wanted, std::size_t from) {
  int depth = 0;
  for (std::size_t index = from; index < text.size(); ++index) {
    if (depth == 0 && text[index] == wanted) return index;
    if (opens(text[index])) ++depth;
    if (closes(text[index]) && depth > 0) --depth;
  }
  return text.size();
}

std::string without_spaces(std::string_view text) {
  std::string compact(text);
  std::erase(compact, ' ');
  return compact;
}

std::string_view without_template_arguments(std::string_view component) {
  if (is_operator(component) || !component.ends_with('>')) return component;
  return component.substr(0, find_outside_brackets(component, '<', 0));
}

bool has_parameters(std::string_view component) {
  return without_parameters(component).size() != component.size();
}

// What one side leaves out does not count against it.
bool same_component(std::string_view have, std::string_view wanted) {
  if (have == wanted) return true;
  if (have == kAnonymousNamespace || wanted == kAnonymousNamespace) return false;
  if (!has_parameters(have) || !has_parameters(wanted)) {
    have = without_parameters(have);
    wanted = without_parameters(wanted);
  }
  if (!wanted.ends_with('>')) have = without_template_arguments(have);
  return have == wanted || without_spaces(have) == without_spaces(wanted);
}

// Cuts a name at its "::"s.
class Splitter {
 public:
  explicit Splitter(std::string_view text) : text_(text) {}

  QualifiedName split() {
    while (position_ < text_.size()) step();
    finish_component(text_.size());
    return std::move(name_);
  }

 private:
  void step() {
    const char c = text_[position_];
    if (depth_ == 0 && position_ == first_ && is_operator(text_.substr(position_))) {
      position_ = text_.size();
      return;
    }
    if (depth_ == 0 && text_.substr(position_).starts_with("::")) {
      finish_component(position_);
      position_ += 2;
      first_ = position_;
      return;
    }
    if (depth_ == 0 && c == ' ' && !has_parameters(text_.substr(first_, position_ - first_)) &&
        position_ + 1 < text_.size()) {
      // What came before was a return type.
      name_.clear();
      first_ = position_ + 1;
    }
    if (opens(c)) ++depth_;
    if (closes(c) && depth_ > 0) --depth_;
    ++position_;
  }

  void finish_component(std::size_t end) {
    const std::string_view component = text_.substr(first_, end - first_);
    if (!component.empty())
      name_.push_back({std::string(component), component == kAnonymousNamespace});
  }

  std::string_view text_;
  std::size_t position_ = 0;
  std::size_t first_ = 0;  // of the component at hand
  int depth_ = 0;
  QualifiedName name_;
};

}  // namespace

std::string_view without_parameters(std::string_view component) {
  if (component == kAnonymousNamespace) return component;
  std::size_t from = 0;
  if (is_operator(component)) {
    from = kOperator.size();
    if (component.substr(from).starts_with("()")) from += 2;
    return component.substr(0, component.find('(', from));
  }
  return component.substr(0, find_outside_brackets(component, '(', from));
}

std::string_view identifier_of(std::string_view component) {
  const std::string_view bare = without_template_arguments(without_parameters(component));
  const std::string_view without_tilde = bare.starts_with('~') ? bare.substr(1) : bare;
  const bool is_identifier =
      !without_tilde.empty() && std::ranges::all_of(without_tilde, is_name_part);
  return is_identifier && !is_operator(bare) ? without_tilde : std::string_view();
}

QualifiedName split_name(std::string_view text) {
  return Splitter(text).split();
}

std::string join_name(const QualifiedName& name) {
  std::string text;
  for (const ScopeName& component : name) {
    if (!text.empty()) text += "::";
    text += component.name;
  }
  return text;
}

NameMatch match_name(const QualifiedName& have, const QualifiedName& wanted) {
  auto left = have.rbegin();
  for (auto right = wanted.rbegin(); right != wanted.rend();) {
    if (left == have.rend()) return NameMatch::none;
    if (same_component(left->name, right->name)) {
      ++right;
    } else if (!left->is_transparent) {
      return NameMatch::none;
    }
    ++left;
  }
  if (wanted.empty()) return NameMatch::none;
  const bool is_whole =
      std::all_of(left, have.rend(), [](const ScopeName& outer) { return outer.is_transparent; });
  return is_whole ? NameMatch::exact : NameMatch::tail;
}

}  // namespace trapline::symbols
