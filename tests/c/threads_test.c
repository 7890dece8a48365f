/* Threads that share a session: who waits for a long job holds up nobody, and everybody gets their own answers. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>

#include "tests/c/check.h"

enum { kThreads = 4, kRounds = 200 };

struct share {
  parcompute_session* session;
  parcompute_job* slow;
  int number;
  int failures;
};

static void* wait_for_slow(void* given) {
  struct share* share = given;
  share->failures = parcompute_job_wait(share->slow, -1, NULL, NULL) != PARCOMPUTE_CANCELLED;
  return NULL;
}

/* Each submits two jobs at once and takes their ends in the other order, so that threads receive each other's. */
static void* compute(void* given) {
  struct share* share = given;
  parcompute_array* a = arange(share->session, 10 + share->number);
  double expected = 0;
  for (int i = 0; i < 10 + share->number; ++i) expected += i;
  for (int i = 0; i < kRounds; ++i) {
    parcompute_argument sum[] = {PARCOMPUTE_TEXT("expression", "sum(x)"), PARCOMPUTE_OPERAND("x", a)};
    parcompute_argument twice[] = {PARCOMPUTE_TEXT("expression", "x + x"), PARCOMPUTE_OPERAND("x", a)};
    parcompute_job *first = NULL, *second = NULL;
    parcompute_array* doubled = NULL;
    parcompute_scalar scalar = {0, 0, {0}};
    share->failures += parcompute_submit(share->session, "evaluate", sum, 2, &first) != PARCOMPUTE_OK;
    share->failures += parcompute_submit(share->session, "evaluate", twice, 2, &second) != PARCOMPUTE_OK;
    if (share->failures > 0) break;
    share->failures += parcompute_job_wait(second, -1, &doubled, NULL) != PARCOMPUTE_OK;
    share->failures += parcompute_job_wait(first, 60, NULL, &scalar) != PARCOMPUTE_OK;
    share->failures += scalar_as_double(&scalar) != expected;
    void* data = NULL;
    share->failures += parcompute_array_data(doubled, &data) != PARCOMPUTE_OK || ((double*)data)[9] != 18;
    parcompute_array_free(doubled);
    parcompute_job_free(first);
    parcompute_job_free(second);
  }
  parcompute_array_free(a);
  return NULL;
}

/* Its message is its own. */
static void* fail(void* given) {
  struct share* share = given;
  parcompute_job* none = NULL;
  share->failures += parcompute_submit(share->session, "no-such", NULL, 0, &none) != PARCOMPUTE_INVALID_ARGUMENT;
  share->failures += strstr(parcompute_error_message(), "no-such") == NULL;
  return NULL;
}

void test_threads(const parcompute_server* server) {
  parcompute_session* session = connected(server);
  struct share shares[kThreads + 2];
  pthread_t threads[kThreads + 2];
  parcompute_argument slow[] = {PARCOMPUTE_INTEGER("nx", 3000),   PARCOMPUTE_INTEGER("ny", 3000),  PARCOMPUTE_REAL("x_min", 0.2500000001), PARCOMPUTE_REAL("x_max", 0.2500000002),
                                PARCOMPUTE_REAL("y_min", -1e-11), PARCOMPUTE_REAL("y_max", 1e-11), PARCOMPUTE_INTEGER("max_iter", 100000),  PARCOMPUTE_INTEGER("chunk_blocks", 1)};
  parcompute_job* job = NULL;
  CHECK_OK(parcompute_submit(session, "mandelbrot", slow, COUNT(slow), &job));
  CHECK_CODE(PARCOMPUTE_NOT_FOUND, parcompute_remove(session, "nothing-of-this-name"));
  for (int i = 0; i < kThreads + 2; ++i) {
    shares[i].session = session;
    shares[i].slow = job;
    shares[i].number = i;
    shares[i].failures = 0;
    pthread_create(&threads[i], NULL, i < kThreads ? compute : i == kThreads ? wait_for_slow : fail, &shares[i]);
  }
  for (int i = 0; i < kThreads; ++i) {
    pthread_join(threads[i], NULL);
    CHECK(shares[i].failures == 0);
  }
  CHECK_OK(parcompute_job_cancel(job));
  for (int i = kThreads; i < kThreads + 2; ++i) {
    pthread_join(threads[i], NULL);
    CHECK(shares[i].failures == 0);
  }
  CHECK_WORDS("nothing-of-this-name");
  parcompute_job_free(job);
  parcompute_session_free(session);
}
