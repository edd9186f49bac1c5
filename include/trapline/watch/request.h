// What the user asked to watch: a range and an access kind. Freestanding; plain values.
#pragma once

#include "trapline/base/access.h"
#include "trapline/base/address.h"
#include "trapline/base/units.h"

namespace trapline {

struct Request {
  RemoteAddress address;
  ByteCount length;  // for Access::execute: ignored, an instruction is one address
  Access access = Access::write;
};

}  // namespace trapline
