/* Makes random numbers, and gives each column a mean of 0 and a standard deviation of 1: in shared memory, on all cores.
 *
 *   cc standardize.c $(pkg-config --cflags --libs parcompute) -o standardize */
#include <stdio.h>

#include <parcompute.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* The end of the program, where a call has failed. */
static int ok(int32_t code) {
  if (code != PARCOMPUTE_OK) fprintf(stderr, "%s: %s\n", parcompute_code_name(code), parcompute_error_message());
  return code == PARCOMPUTE_OK;
}

int main(void) {
  parcompute_server* server = NULL;
  parcompute_session* session = NULL;
  parcompute_array *x = NULL, *means = NULL;
  void* data = NULL;

  /* A server of its own: without `socket` the one that is there, or that is started, would be taken. */
  int fine = ok(parcompute_private_server(NULL, 0, &server));
  if (fine) {
    parcompute_argument where[] = {PARCOMPUTE_TEXT("socket", parcompute_server_socket(server))};
    fine = ok(parcompute_connect(where, COUNT(where), &session));
  }
  if (fine) {
    const int64_t shape[] = {100000, 3};
    parcompute_argument numbers[] = {PARCOMPUTE_TEXT("distribution", "normal"), PARCOMPUTE_INTEGERS("shape", shape, 2), PARCOMPUTE_INTEGER("seed", 7), PARCOMPUTE_REAL("mean", 5)};
    fine = ok(parcompute_run(session, "random", numbers, COUNT(numbers), &x, NULL));
  }
  if (fine) {
    /* Into its own operand; and means, which are an array of three. */
    parcompute_argument standardize[] = {PARCOMPUTE_TEXT("expression", "(x - mean(x, axis=0)) / std(x, axis=0)"), PARCOMPUTE_OPERAND("x", x), PARCOMPUTE_ARRAY("into", x)};
    parcompute_argument mean[] = {PARCOMPUTE_TEXT("expression", "mean(x, axis=0)"), PARCOMPUTE_OPERAND("x", x)};
    fine = ok(parcompute_run(session, "evaluate", standardize, COUNT(standardize), NULL, NULL)) && ok(parcompute_run(session, "evaluate", mean, COUNT(mean), &means, NULL)) &&
           ok(parcompute_array_data(means, &data));
  }
  if (fine) printf("mean of each column: %6.3f %6.3f %6.3f\n", ((double*)data)[0], ((double*)data)[1], ((double*)data)[2]);

  parcompute_array_free(means);
  parcompute_array_free(x);
  parcompute_session_free(session);
  parcompute_server_free(server);
  return fine ? 0 : 1;
}
