// The exception vectors (vectors.S) and who deals with what they bring.
#pragma once

namespace trapline::armv7_virt {

// Points the calling CPU to the vectors and gives its fault modes their stacks.
void install_vectors();

}  // namespace trapline::armv7_virt
