// One mistake for each CASE_ macro; CASE_valid has none.
#include "trapline/base/address.h"
#include "trapline/base/cpu_set.h"
#include "trapline/base/units.h"

using namespace trapline;

[[maybe_unused]] static const RemoteAddress address(0x1000);
[[maybe_unused]] static void take_length(ByteCount) {}
[[maybe_unused]] static void take_address(RemoteAddress) {}

void use() {
#if defined(CASE_valid)
  take_length(ByteCount{4});
  take_address(address + ByteCount{4});
#elif defined(CASE_dereference_remote_address)
  (void)*address;
#elif defined(CASE_remote_address_from_integer)
  take_address(0x1000);
#elif defined(CASE_add_length_to_cpu)
  (void)(CpuId{1} + ByteCount{1});
#elif defined(CASE_compare_address_with_pointer)
  (void)(address == &address);
#elif defined(CASE_length_from_integer)
  take_length(4);
#elif defined(CASE_ignored_error)
  parse_cpu_list("0");
#elif defined(CASE_header_of_another_component)
#include "trapline/watch/plan.h"
#else
#error "no such case"
#endif
}
