// A tour of the founding problem: commands of the console, each after a few lines on why.
#pragma once

#include "console.h"

namespace trapline::firmware {

void play_demo(Console& console);

}  // namespace trapline::firmware
