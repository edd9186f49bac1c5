#include "symbols/expression.h"

#include <gtest/gtest.h>

#include <string>

namespace trapline::symbols {
namespace {

// An expression as one line: file|name then each step.
std::string shape_of(const std::string& text) {
  const auto parsed = parse_expression(text);
  if (!parsed)
    return "error at " + std::to_string(parsed.error().position) + ": " + parsed.error().reason;
  if (const auto* address = std::get_if<ExplicitAddress>(&*parsed)) {
    return "@" + std::to_string(address->address.value()) +
           (address->length ? ":" + std::to_string(address->length->value) : "");
  }
  const auto& object = std::get<NamedObject>(*parsed);
  std::string shape = object.file + "|" + object.name;
  for (const AccessStep& step : object.steps) {
    switch (step.kind) {
      case AccessStep::Kind::member:
        shape += " ." + step.name;
        break;
      case AccessStep::Kind::arrow:
        shape += " ->" + step.name;
        break;
      case AccessStep::Kind::element:
        shape += " [" + std::to_string(step.index) + "]";
        break;
      case AccessStep::Kind::dereference:
        shape += " *";
        break;
    }
  }
  return shape;
}

TEST(Expression, NamesAndSteps) {
  EXPECT_EQ(shape_of("counter"), "|counter");
  EXPECT_EQ(shape_of("cfg.mode"), "|cfg .mode");
  EXPECT_EQ(shape_of("table[3].next->len"), "|table [3] .next ->len");
  EXPECT_EQ(shape_of("grid[0x10][2]"), "|grid [16] [2]");
  EXPECT_EQ(shape_of(" cfg . mode "), "|cfg .mode");
  EXPECT_EQ(shape_of("*p"), "|p *");
  EXPECT_EQ(shape_of("*p->next"), "|p ->next *");
  EXPECT_EQ(shape_of("**p[1]"), "|p [1] * *");
}

TEST(Expression, FileQualifierEndsAtASingleColon) {
  EXPECT_EQ(shape_of("file.c:static_var"), "file.c|static_var");
  EXPECT_EQ(shape_of("net/tcp.c:x[1]"), "net/tcp.c|x [1]");
  EXPECT_EQ(shape_of("file.cc:ns::x"), "file.cc|ns::x");
  EXPECT_EQ(shape_of("libc.so.6:main_arena.top"), "libc.so.6|main_arena .top");
  EXPECT_EQ(shape_of("*file.c:p"), "file.c|p *");
  EXPECT_EQ(shape_of("my-file 2.c : x"), "my-file 2.c|x");
}

TEST(Expression, CxxNamesAreTakenWhole) {
  EXPECT_EQ(shape_of("ns::Class::member"), "|ns::Class::member");
  EXPECT_EQ(shape_of("::global"), "|global");
  EXPECT_EQ(shape_of("ns::Vec<int, 4>::count.x"), "|ns::Vec<int, 4>::count .x");
  EXPECT_EQ(shape_of("(anonymous namespace)::x"), "|(anonymous namespace)::x");
  EXPECT_EQ(shape_of("ns::f(int, char)"), "|ns::f(int, char)");
  EXPECT_EQ(shape_of("Foo::operator==(Foo const&)"), "|Foo::operator==(Foo const&)");
  EXPECT_EQ(shape_of("Foo::operator()(int) const"), "|Foo::operator()(int) const");
  EXPECT_EQ(shape_of("Foo::operator->"), "|Foo::operator->");
  EXPECT_EQ(shape_of("main::{lambda(int)#1}::operator()"), "|main::{lambda(int)#1}::operator()");
  EXPECT_EQ(shape_of("name[abi:cxx11]"), "|name[abi:cxx11]");
  EXPECT_EQ(shape_of("f<a::b>(int)::x"), "|f<a::b>(int)::x");
}

TEST(Expression, ExplicitAddresses) {
  EXPECT_EQ(shape_of("*0x7f00aa10:8"), "@2130749968:8");
  EXPECT_EQ(shape_of("*4096"), "@4096");
  EXPECT_EQ(shape_of("* 0xffffffffffffffff : 1"), "@18446744073709551615:1");
}

TEST(Expression, ErrorsPointAtTheCharacter) {
  EXPECT_EQ(shape_of(""), "error at 0: expected a variable's name or *ADDRESS:LENGTH");
  EXPECT_EQ(shape_of("cfg..mode"), "error at 4: expected a member's name after '.'");
  EXPECT_EQ(shape_of("table[x]"), "error at 6: expected an index: a number without sign");
  EXPECT_EQ(shape_of("table[1"), "error at 7: expected ']'");
  EXPECT_EQ(shape_of("a b"), "error at 2: expected '.', '->' or '['");
  EXPECT_EQ(shape_of("Vec<int::x"), "error at 3: this bracket is never closed");
  EXPECT_EQ(shape_of("*0x:8"), "error at 3: expected a number");
  EXPECT_EQ(shape_of("*16:0"), "error at 5: the length must be at least 1");
  EXPECT_EQ(shape_of("*99999999999999999999"), "error at 20: the number does not fit into 64 bits");
  EXPECT_EQ(shape_of("file.c:"), "error at 7: expected a name");
}

TEST(Expression, CommonSlipsGetAHint) {
  EXPECT_EQ(shape_of("&counter"),
            "error at 0: leave '&' out: the object itself is watched, not a copy of its address");
  EXPECT_EQ(shape_of("0x1234"), "error at 0: an address is written *0x...:LENGTH");
  EXPECT_EQ(shape_of("**0x1234"), "error at 2: an address is written *0x...:LENGTH");
  EXPECT_EQ(shape_of("counter:4"), "error at 8: expected a name; a length is given with --length");
}

}  // namespace
}  // namespace trapline::symbols
