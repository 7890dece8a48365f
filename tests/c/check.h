/* What the C tests share: a check that says what it found, and a server for all of them. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/c/parcompute.h"

extern int failures;

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      ++failures;                                                             \
      fprintf(stderr, "%s:%d: %s is not so\n", __FILE__, __LINE__, #condition); \
    }                                                                         \
  } while (0)

/* That a call answers with a code; otherwise its message is printed. */
#define CHECK_CODE(expected, call)                                                                                            \
  do {                                                                                                                        \
    const int32_t code_ = (call);                                                                                             \
    if (code_ != (expected)) {                                                                                                \
      ++failures;                                                                                                             \
      fprintf(stderr, "%s:%d: %s gives %s, not %s: %s\n", __FILE__, __LINE__, #call, parcompute_code_name(code_),              \
              parcompute_code_name(expected), parcompute_error_message());                                                    \
    }                                                                                                                         \
  } while (0)
#define CHECK_OK(call) CHECK_CODE(PARCOMPUTE_OK, call)
/* The last message has these words. */
#define CHECK_WORDS(words) CHECK(strstr(parcompute_error_message(), words) != NULL)

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

parcompute_session* connected(const parcompute_server* server);
parcompute_array* arange(parcompute_session* session, int64_t length);
double scalar_as_double(const parcompute_scalar* scalar);

void test_interface(const parcompute_server* server);
void test_threads(const parcompute_server* server);
void test_forks(const parcompute_server* server);
