#include "ports/linux/bpf/bpf_filter.h"

#include <cstring>

namespace trapline::linux_port {
namespace {

template <typename Ours, typename Theirs>
constexpr bool is_same(Ours ours, Theirs theirs) {
  return static_cast<int>(ours) == static_cast<int>(theirs);
}
static_assert(is_same(HitField::none, TRAPLINE_NUMBER) &&
              is_same(HitField::old_value, TRAPLINE_OLD_VALUE) &&
              is_same(HitField::new_value, TRAPLINE_NEW_VALUE) &&
              is_same(HitField::tid, TRAPLINE_TID) && is_same(HitField::pid, TRAPLINE_PID) &&
              is_same(HitField::cpu, TRAPLINE_CPU));
static_assert(is_same(Term::Reading::unsigned_bits, TRAPLINE_UNSIGNED_BITS) &&
              is_same(Term::Reading::signed_bits, TRAPLINE_SIGNED_BITS) &&
              is_same(Term::Reading::floating, TRAPLINE_FLOATING));

trapline_term term_for(const Term& term) {
  const bool is_number = term.field == HitField::none;
  return {.bits = is_number ? term.number.bits : term.mask,
          .infinity = term.reading == Term::Reading::floating ? term.infinity() : 0,
          .field = static_cast<__u8>(term.field),
          .reading = static_cast<__u8>(term.reading),
          .negative = static_cast<__u8>(is_number && term.number.negative),
          .unused = {}};
}

__u32 orders_of(Comparison comparison) {
  switch (comparison) {
    case Comparison::equal:
      return TRAPLINE_EQUAL;
    case Comparison::not_equal:
      return TRAPLINE_LESS | TRAPLINE_GREATER | TRAPLINE_UNORDERED;
    case Comparison::less:
      return TRAPLINE_LESS;
    case Comparison::less_equal:
      return TRAPLINE_LESS | TRAPLINE_EQUAL;
    case Comparison::greater:
      return TRAPLINE_GREATER;
    case Comparison::greater_equal:
      return TRAPLINE_GREATER | TRAPLINE_EQUAL;
  }
  return 0;
}

trapline_condition condition_for(const TypedCondition& condition) {
  trapline_condition result{.left = term_for(condition.left),
                            .right = term_for(condition.right),
                            .name = {},
                            .accepts = orders_of(condition.comparison),
                            .unused = 0};
  static_assert(sizeof result.name == sizeof condition.name);
  std::memcpy(&result.name, condition.name.data(), sizeof result.name);
  return result;
}

}  // namespace

trapline_filter bpf_filter_for(std::span<const TypedCondition> conditions) {
  trapline_filter filter{};
  for (const TypedCondition& condition : conditions) {
    if (filter.count == TRAPLINE_MAX_CONDITIONS) break;
    filter.conditions[filter.count++] = condition_for(condition);
    if (condition.is_about_thread_name()) filter.needs_name = 1;
    if (is_value(condition.left.field) || is_value(condition.right.field)) filter.needs_values = 1;
  }
  return filter;
}

}  // namespace trapline::linux_port
