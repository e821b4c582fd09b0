// What the tests share.
#pragma once

#include <cstdio>
#include <cstdlib>

inline void expect(bool holds, const char *what) {
    if (!holds) {
        std::fprintf(stderr, "does not hold: %s\n", what);
        std::exit(1);
    }
}
