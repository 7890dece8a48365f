/* A child of fork() has its parent's memory and none of its sessions. */
#define _POSIX_C_SOURCE 200809L
#include <sys/wait.h>
#include <unistd.h>

#include "tests/c/check.h"

static int in_child(const parcompute_server* server, parcompute_session* session, parcompute_array* a, parcompute_job* job, double* elements) {
  char* json = NULL;
  CHECK(elements[4] == 4);
  CHECK_CODE(PARCOMPUTE_FORKED, parcompute_status(session, &json));
  CHECK_WORDS("fork()");
  CHECK_CODE(PARCOMPUTE_FORKED, parcompute_job_wait(job, -1, NULL, NULL));
  parcompute_argument sum[] = {PARCOMPUTE_TEXT("expression", "sum(x)"), PARCOMPUTE_OPERAND("x", a)};
  CHECK_CODE(PARCOMPUTE_FORKED, parcompute_run(session, "evaluate", sum, 2, NULL, NULL));
  void* data = NULL;
  CHECK_OK(parcompute_array_data(a, &data)); /* it is mapped already */
  CHECK(data == elements);
  parcompute_array_free(a);
  parcompute_job_free(job);
  parcompute_session_free(session);
  CHECK(elements[4] == 4);
  /* One of its own. */
  parcompute_session* own = connected(server);
  CHECK_OK(parcompute_status(own, &json));
  parcompute_text_free(json);
  parcompute_session_free(own);
  elements[4] = 44;
  return failures;
}

void test_forks(const parcompute_server* server) {
  parcompute_session* session = connected(server);
  parcompute_array* a = arange(session, 5);
  void* data = NULL;
  CHECK_OK(parcompute_array_data(a, &data));
  parcompute_argument sum[] = {PARCOMPUTE_TEXT("expression", "sum(x)"), PARCOMPUTE_OPERAND("x", a)};
  parcompute_job* job = NULL;
  CHECK_OK(parcompute_submit(session, "evaluate", sum, 2, &job));
  fflush(NULL);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) _exit(in_child(server, session, a, job, data));
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  /* Nothing of the parent's has suffered. */
  parcompute_scalar scalar;
  CHECK_OK(parcompute_job_wait(job, -1, NULL, &scalar));
  CHECK(((double*)data)[4] == 44);
  CHECK_OK(parcompute_run(session, "evaluate", sum, 2, NULL, &scalar));
  CHECK(scalar_as_double(&scalar) == 50);

  /* A child that lives on does not keep its parent's session alive. */
  int ends[2];
  CHECK(pipe(ends) == 0);
  const pid_t sleeper = fork();
  if (sleeper == 0) {
    char end;
    close(ends[1]);
    _exit(read(ends[0], &end, 1) == 0 ? 0 : 1);
  }
  close(ends[0]);
  parcompute_job_free(job);
  parcompute_array_free(a);
  parcompute_session_free(session);
  parcompute_session* other = connected(server);
  char* json = NULL;
  int sessions = 2;
  while (sessions > 1) { /* the server hears of a session's end by its socket */
    CHECK_OK(parcompute_status(other, &json));
    const char* found = json == NULL ? NULL : strstr(json, "\"sessions\":");
    sessions = found == NULL ? 0 : atoi(found + strlen("\"sessions\":"));
    parcompute_text_free(json);
  }
  CHECK(sessions == 1);
  parcompute_session_free(other);
  close(ends[1]);
  waitpid(sleeper, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
