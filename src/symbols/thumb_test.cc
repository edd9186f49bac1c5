#include "symbols/thumb.h"

#include <gtest/gtest.h>

namespace trapline::symbols {
namespace {

TEST(MappingSymbols, AreThoseOfTheAbiAndNoOthers) {
  for (const char* name : {"$a", "$t", "$d", "$x", "$t.1", "$d.realdata"})
    EXPECT_TRUE(is_mapping_symbol(name)) << name;
  for (const char* name : {"", "$", "$b", "$total", "t", "a$t", "$tx.1"})
    EXPECT_FALSE(is_mapping_symbol(name)) << name;
}

}  // namespace
}  // namespace trapline::symbols
