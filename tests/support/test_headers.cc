// What the tests' precompiled headers are compiled with (cmake/TraplineComponent.cmake).
