#include "symbols/qualified_name.h"

#include <gtest/gtest.h>

namespace trapline::symbols {
namespace {

std::vector<std::string> parts_of(std::string_view text) {
  std::vector<std::string> parts;
  for (const ScopeName& part : split_name(text)) parts.push_back(part.name);
  return parts;
}

using Parts = std::vector<std::string>;

NameMatch match(std::string_view have, std::string_view wanted) {
  return match_name(split_name(have), split_name(wanted));
}

TEST(SplitName, CutsOnlyOutsideOfBrackets) {
  EXPECT_EQ(parts_of("x"), Parts{"x"});
  EXPECT_EQ(parts_of("::ns::x"), (Parts{"ns", "x"}));
  EXPECT_EQ(parts_of("ns::Vec<a::b, 4>::count"), (Parts{"ns", "Vec<a::b, 4>", "count"}));
  EXPECT_EQ(parts_of("(anonymous namespace)::f(ns::T)::x"),
            (Parts{"(anonymous namespace)", "f(ns::T)", "x"}));
  EXPECT_EQ(parts_of("main::{lambda(int)#1}::operator()(int) const"),
            (Parts{"main", "{lambda(int)#1}", "operator()(int) const"}));
}

TEST(SplitName, OperatorsAreOneComponent) {
  EXPECT_EQ(parts_of("ns::A::operator->"), (Parts{"ns", "A", "operator->"}));
  EXPECT_EQ(parts_of("ns::operator<< <char>(ns::B&)"), (Parts{"ns", "operator<< <char>(ns::B&)"}));
  EXPECT_EQ(parts_of("A::operator ns::B()"), (Parts{"A", "operator ns::B()"}));
  EXPECT_EQ(parts_of("operators::x"), (Parts{"operators", "x"}));
}

TEST(SplitName, AReturnTypeIsDropped) {
  EXPECT_EQ(parts_of("void ns::f<int>(int)"), (Parts{"ns", "f<int>(int)"}));
  EXPECT_EQ(parts_of("std::vector<int> ns::f<int>(int)"), (Parts{"ns", "f<int>(int)"}));
  EXPECT_EQ(parts_of("ns::f(int) const::x"), (Parts{"ns", "f(int) const", "x"}));
}

TEST(MatchName, OuterScopesMayBeLeftOut) {
  EXPECT_EQ(match("ns::A::x", "ns::A::x"), NameMatch::exact);
  EXPECT_EQ(match("ns::A::x", "A::x"), NameMatch::tail);
  EXPECT_EQ(match("ns::A::x", "x"), NameMatch::tail);
  EXPECT_EQ(match("ns::A::x", "B::x"), NameMatch::none);
  EXPECT_EQ(match("x", "A::x"), NameMatch::none);
  EXPECT_EQ(match("ns::max", "ax"), NameMatch::none);
}

TEST(MatchName, AnonymousAndInlineNamespacesDoNotCount) {
  EXPECT_EQ(match("ns::(anonymous namespace)::x", "ns::x"), NameMatch::exact);
  EXPECT_EQ(match("(anonymous namespace)::x", "x"), NameMatch::exact);
  EXPECT_EQ(match("(anonymous namespace)::x", "(anonymous namespace)::x"), NameMatch::exact);
  EXPECT_EQ(match("x", "(anonymous namespace)::x"), NameMatch::none);
  const QualifiedName versioned{{"std", false}, {"__1", true}, {"cout", false}};
  EXPECT_EQ(match_name(versioned, split_name("std::cout")), NameMatch::exact);
  EXPECT_EQ(match_name(versioned, split_name("std::__1::cout")), NameMatch::exact);
}

TEST(MatchName, TemplateArgumentsAndSpacesAreOptional) {
  EXPECT_EQ(match("ns::Vec<int, 4>::count", "ns::Vec<int,4>::count"), NameMatch::exact);
  EXPECT_EQ(match("ns::Vec<int, 4>::count", "ns::Vec::count"), NameMatch::exact);
  EXPECT_EQ(match("ns::Vec<int, 4>::count", "ns::Vec<int, 8>::count"), NameMatch::none);
}

TEST(MatchName, ParametersTellOverloadsApartOnlyIfBothSidesHaveThem) {
  EXPECT_EQ(match("ns::f(int)", "ns::f(int)"), NameMatch::exact);
  EXPECT_EQ(match("ns::f(int)", "ns::f"), NameMatch::exact);
  EXPECT_EQ(match("ns::f(int)", "ns::f(char)"), NameMatch::none);
  EXPECT_EQ(match("f", "f(int)"), NameMatch::exact);
  EXPECT_EQ(match("A::operator()(int)", "A::operator()"), NameMatch::exact);
  EXPECT_EQ(match("void ns::f<int>(int)", "ns::f"), NameMatch::exact);
  EXPECT_EQ(match("f(int)::x", "f::x"), NameMatch::exact);
}

TEST(IdentifierOf, IsTheWordAMangledNameContains) {
  EXPECT_EQ(identifier_of("Vec<int, 4>"), "Vec");
  EXPECT_EQ(identifier_of("f<int>(int) const"), "f");
  EXPECT_EQ(identifier_of("~A()"), "A");
  EXPECT_EQ(identifier_of("operator->"), "");
  EXPECT_EQ(identifier_of("{lambda(int)#1}"), "");
}

}  // namespace
}  // namespace trapline::symbols
