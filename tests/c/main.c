#include "tests/c/check.h"

int failures = 0;

parcompute_session* connected(const parcompute_server* server) {
  parcompute_session* session = NULL;
  parcompute_argument of_server[] = {PARCOMPUTE_TEXT("socket", parcompute_server_socket(server)), PARCOMPUTE_INTEGER("start", 0)};
  CHECK_OK(parcompute_connect(of_server, COUNT(of_server), &session));
  if (session == NULL) exit(1);
  return session;
}

parcompute_array* arange(parcompute_session* session, int64_t length) {
  parcompute_array* array = NULL;
  parcompute_argument of_array[] = {PARCOMPUTE_TEXT("dtype", "float64"), PARCOMPUTE_INTEGERS("shape", &length, 1)};
  CHECK_OK(parcompute_make(session, "arange", of_array, COUNT(of_array), &array));
  if (array == NULL) exit(1);
  return array;
}

double scalar_as_double(const parcompute_scalar* scalar) {
  double value = -1;
  if (scalar->dtype == PARCOMPUTE_FLOAT64) memcpy(&value, scalar->bytes, sizeof value);
  return value;
}

int main(void) {
  parcompute_server* server = NULL;
  parcompute_argument two[] = {PARCOMPUTE_INTEGER("workers", 2)};
  CHECK_OK(parcompute_private_server(two, COUNT(two), &server));
  if (server == NULL) return 1;
  test_interface(server);
  test_threads(server);
  test_forks(server);
  parcompute_server_free(server);
  if (failures == 0) puts("all is as it should be");
  return failures == 0 ? 0 : 1;
}
