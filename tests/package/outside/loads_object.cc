// Loads a shared object and uses what it brings: loads_object FILE
#include <dlfcn.h>

#include <cstdio>

int main(int, char** argv) {
  void* const object = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (object == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  auto* const use_library = reinterpret_cast<bool (*)()>(dlsym(object, "use_library"));
  return use_library != nullptr && use_library() ? 0 : 1;
}
