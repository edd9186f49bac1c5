// The founding race, played on the board: a driver registers its reset, looks for CPUs that failed,
// and removes it again, while another CPU asks for one to come online.
#pragma once

#include "board.h"

namespace trapline::firmware {

// Prints what happens. Needs CPU 1 online and its thread free; CPU 3, or the highest there is, is
// taken down first. Returns false, having said why, if it cannot be played.
bool play_race(Board& board, bool with_lock);

}  // namespace trapline::firmware
