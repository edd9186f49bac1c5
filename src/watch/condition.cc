#include "trapline/watch/condition.h"

#include <compare>
#include <optional>

namespace trapline {
namespace {

std::optional<std::uint64_t> bits_of(const MemoryValue& value) {
  if (value.certainty == Certainty::unknown) return std::nullopt;
  return value.bits;
}

// Where the system cannot tell who it was, it gives -1.
template <typename Id>
std::optional<std::uint64_t> bits_of_task(Id id) {
  if (id.value < 0) return std::nullopt;
  return static_cast<std::uint64_t>(id.value);
}

std::optional<std::uint64_t> field_bits(HitField field, const Hit& hit) {
  switch (field) {
    case HitField::none:
      break;
    case HitField::old_value:
      return bits_of(hit.old_value);
    case HitField::new_value:
      return bits_of(hit.new_value);
    case HitField::tid:
      return bits_of_task(hit.tid);
    case HitField::pid:
      return bits_of_task(hit.pid);
    case HitField::cpu:
      return hit.cpu.value;
  }
  return std::nullopt;
}

// The number, or no number (NaN).
std::optional<OrderedNumber> read(const Term& term, std::uint64_t bits) {
  bits &= term.mask;
  const std::uint64_t sign = term.mask ^ (term.mask >> 1);
  switch (term.reading) {
    case Term::Reading::unsigned_bits:
      break;
    case Term::Reading::signed_bits: {
      const bool is_negative = (bits & sign) != 0;
      return OrderedNumber{is_negative, is_negative ? bits | ~term.mask : bits};
    }
    case Term::Reading::floating: {
      // Those of one sign are in the order of the rest of their bits.
      const std::uint64_t magnitude = bits & ~sign;
      if (magnitude > term.infinity()) return std::nullopt;
      const bool is_negative = (bits & sign) != 0 && magnitude != 0;
      return OrderedNumber{is_negative, is_negative ? ~magnitude + 1 : magnitude};
    }
  }
  return OrderedNumber{false, bits};
}

std::strong_ordering order_of(const OrderedNumber& a, const OrderedNumber& b) {
  if (a.negative != b.negative)
    return a.negative ? std::strong_ordering::less : std::strong_ordering::greater;
  return a.bits <=> b.bits;
}

bool compare(Comparison comparison, std::strong_ordering order) {
  switch (comparison) {
    case Comparison::equal:
      return order == 0;
    case Comparison::not_equal:
      return order != 0;
    case Comparison::less:
      return order < 0;
    case Comparison::less_equal:
      return order <= 0;
    case Comparison::greater:
      return order > 0;
    case Comparison::greater_equal:
      return order >= 0;
  }
  return false;
}

Verdict verdict_of(bool holds) {
  return holds ? Verdict::holds : Verdict::fails;
}

// Up to the first NUL: behind it there may be anything.
bool is_same_name(const std::array<char, 16>& a, const std::array<char, 16>& b) {
  for (std::size_t index = 0; index < a.size(); ++index) {
    if (a[index] != b[index]) return false;
    if (a[index] == '\0') return true;
  }
  return true;
}

Verdict evaluate_thread_name(const TypedCondition& condition, const Hit& hit) {
  if (hit.comm[0] == '\0') return Verdict::undecided;
  return verdict_of(is_same_name(hit.comm, condition.name) ==
                    (condition.comparison == Comparison::equal));
}

}  // namespace

Verdict evaluate(const TypedCondition& condition, const Hit& hit) {
  if (condition.is_about_thread_name()) return evaluate_thread_name(condition, hit);
  std::optional<OrderedNumber> sides[2];
  for (std::size_t side = 0; side < 2; ++side) {
    const Term& term = side == 0 ? condition.left : condition.right;
    if (term.field == HitField::none) {
      sides[side] = term.number;
      continue;
    }
    const auto bits = field_bits(term.field, hit);
    if (!bits) return Verdict::undecided;
    sides[side] = read(term, *bits);
  }
  if (!sides[0] || !sides[1]) return verdict_of(condition.comparison == Comparison::not_equal);
  return verdict_of(compare(condition.comparison, order_of(*sides[0], *sides[1])));
}

}  // namespace trapline
