/* Arrays, views, operations, jobs and errors through the C interface. */
#include "tests/c/check.h"

static void arrays_are_memory(parcompute_session* session) {
  const int64_t shape[] = {3, 4};
  parcompute_array *a = NULL, *columns = NULL, *found = NULL, *empty = NULL;
  parcompute_argument of_a[] = {PARCOMPUTE_TEXT("name", "c-a"), PARCOMPUTE_TEXT("dtype", "int32"), PARCOMPUTE_INTEGERS("shape", shape, 2), PARCOMPUTE_INTEGER("value", 7)};
  CHECK_OK(parcompute_make(session, "full", of_a, COUNT(of_a), &a));
  CHECK(strcmp(parcompute_array_name(a), "c-a") == 0);
  CHECK(parcompute_array_dtype(a) == PARCOMPUTE_INT32);
  CHECK(parcompute_array_ndim(a) == 2 && parcompute_array_shape(a)[1] == 4 && parcompute_array_strides(a)[0] == 16);
  CHECK(parcompute_array_nbytes(a) == 48 && parcompute_array_writable(a) && !parcompute_array_is_view(a));

  void* data = NULL;
  CHECK_OK(parcompute_array_data(a, &data));
  int32_t* elements = data;
  CHECK(elements[0] == 7 && elements[11] == 7);
  elements[5] = 9; /* row 1, column 1 */

  CHECK_OK(parcompute_array_view(a, "[1:, 1::2]", &columns));
  CHECK(parcompute_array_is_view(columns) && parcompute_array_shape(columns)[0] == 2 && parcompute_array_strides(columns)[1] == 8);
  parcompute_array_free(a); /* the view keeps the memory */
  void* first = NULL;
  CHECK_OK(parcompute_array_data(columns, &first));
  CHECK(first == (void*)(elements + 5) && *(int32_t*)first == 9);

  parcompute_argument by_name[] = {PARCOMPUTE_TEXT("name", "c-a")};
  CHECK_OK(parcompute_make(session, "find", by_name, 1, &found));
  CHECK_OK(parcompute_array_data(found, &data));
  CHECK(((int32_t*)data)[5] == 9);
  CHECK_OK(parcompute_remove(session, "c-a"));
  CHECK_CODE(PARCOMPUTE_NOT_FOUND, parcompute_make(session, "find", by_name, 1, &empty));
  CHECK(empty == NULL);
  CHECK_WORDS("c-a");
  parcompute_array_free(found);
  parcompute_array_free(columns);

  const int64_t nothing[] = {0, 5};
  parcompute_argument of_nothing[] = {PARCOMPUTE_TEXT("dtype", "bool"), PARCOMPUTE_INTEGERS("shape", nothing, 2)};
  CHECK_OK(parcompute_make(session, "zeros", of_nothing, 2, &empty));
  CHECK_OK(parcompute_array_data(empty, &data));
  CHECK(data == NULL && parcompute_array_nbytes(empty) == 0);
  parcompute_array_free(empty);
  parcompute_array_free(NULL);
}

static void operations_answer(parcompute_session* session) {
  parcompute_array *a = arange(session, 1000), *b = NULL, *sorted = NULL;
  parcompute_scalar scalar;
  parcompute_argument sum[] = {PARCOMPUTE_TEXT("expression", "sum(2*x)"), PARCOMPUTE_OPERAND("x", a)};
  CHECK_OK(parcompute_run(session, "evaluate", sum, COUNT(sum), &b, &scalar));
  CHECK(b == NULL && scalar.size == 8 && scalar_as_double(&scalar) == 999000);
  parcompute_job* job = NULL;
  CHECK_OK(parcompute_submit_and_wait(session, "evaluate", sum, COUNT(sum), -1, &job, &b, &scalar));
  CHECK(job == NULL && b == NULL && scalar_as_double(&scalar) == 999000);
  CHECK_CODE(PARCOMPUTE_NOT_FOUND, parcompute_submit_and_wait(session, "evaluate", sum, 1, -1, &job, &b, &scalar)); /* there is no x */
  CHECK(job == NULL && scalar.dtype == 0);

  parcompute_argument order[] = {PARCOMPUTE_ARRAY("a", a), PARCOMPUTE_INTEGER("axis", -1), PARCOMPUTE_INTEGER("descending", 1), PARCOMPUTE_TEXT("output", "c-sorted")};
  CHECK_OK(parcompute_run(session, "sort", order, COUNT(order), &sorted, &scalar));
  void* data = NULL;
  CHECK_OK(parcompute_array_data(sorted, &data));
  CHECK(((double*)data)[0] == 999 && strcmp(parcompute_array_name(sorted), "c-sorted") == 0 && scalar.dtype == 0);

  /* Into what is there. */
  parcompute_argument in_place[] = {PARCOMPUTE_TEXT("expression", "x + 1"), PARCOMPUTE_OPERAND("x", a), PARCOMPUTE_ARRAY("into", a)};
  CHECK_OK(parcompute_run(session, "evaluate", in_place, COUNT(in_place), NULL, NULL));
  CHECK_OK(parcompute_array_data(a, &data));
  CHECK(((double*)data)[999] == 1000);

  parcompute_array* both[] = {a, sorted};
  parcompute_argument join[] = {PARCOMPUTE_ARRAYS("arrays", both, 2)};
  CHECK_OK(parcompute_run(session, "concatenate", join, 1, &b, NULL));
  CHECK(parcompute_array_shape(b)[0] == 2000);
  parcompute_array_free(b);
  CHECK_OK(parcompute_remove(session, "c-sorted"));

  const double ranks[] = {0, 50, 100};
  parcompute_argument percentile[] = {PARCOMPUTE_ARRAY("a", a), PARCOMPUTE_REALS("q", ranks, 3)};
  CHECK_OK(parcompute_run(session, "percentile", percentile, 2, &b, NULL));
  CHECK_OK(parcompute_array_data(b, &data));
  CHECK(((double*)data)[0] == 1 && ((double*)data)[2] == 1000);
  parcompute_array_free(b);
  parcompute_array_free(sorted);
  parcompute_array_free(a);
}

static void jobs_have_lives(parcompute_session* session) {
  /* None of these points escapes, and none repeats itself: it takes hours. */
  parcompute_argument slow[] = {PARCOMPUTE_INTEGER("nx", 3000),        PARCOMPUTE_INTEGER("ny", 3000), PARCOMPUTE_REAL("x_min", 0.2500000001), PARCOMPUTE_REAL("x_max", 0.2500000002),
                                PARCOMPUTE_REAL("y_min", -1e-11),      PARCOMPUTE_REAL("y_max", 1e-11), PARCOMPUTE_INTEGER("max_iter", 100000),  PARCOMPUTE_INTEGER("chunk_blocks", 1)};
  parcompute_job *job = NULL, *same = NULL;
  parcompute_array* output = NULL;
  CHECK_OK(parcompute_submit(session, "mandelbrot", slow, COUNT(slow), &job));
  CHECK_CODE(PARCOMPUTE_TIMED_OUT, parcompute_job_wait(job, 0.01, &output, NULL));
  CHECK_CODE(PARCOMPUTE_TIMED_OUT, parcompute_submit_and_wait(session, "mandelbrot", slow, COUNT(slow), 0.01, &same, &output, NULL));
  CHECK(same != NULL && output == NULL);
  CHECK_OK(parcompute_job_cancel(same));
  parcompute_job_free(same);
  CHECK(output == NULL);
  CHECK_CODE(PARCOMPUTE_TIMED_OUT, parcompute_job_wait(job, 0, NULL, NULL));
  uint64_t id = 0, done = 0, total = 0;
  int32_t state = 0;
  CHECK_OK(parcompute_job_id(job, &id));
  CHECK_OK(parcompute_job_progress(job, &state, &done, &total));
  CHECK(id > 0 && (state == PARCOMPUTE_JOB_RUNNING || state == PARCOMPUTE_JOB_QUEUED) && done < total);
  char* json = NULL;
  CHECK_OK(parcompute_job_explain(job, &json));
  CHECK(json != NULL && strstr(json, "mandelbrot") != NULL);
  parcompute_text_free(json);
  CHECK_OK(parcompute_find_job(session, id, &same));
  CHECK_OK(parcompute_job_cancel(same));
  CHECK_CODE(PARCOMPUTE_CANCELLED, parcompute_job_wait(job, -1, &output, NULL));
  CHECK_CODE(PARCOMPUTE_CANCELLED, parcompute_job_wait(same, -1, &output, NULL));
  CHECK_OK(parcompute_job_cancel(job));
  parcompute_job_free(job);
  parcompute_job_free(same);
  CHECK_CODE(PARCOMPUTE_NOT_FOUND, parcompute_find_job(session, 1u << 30, &job));
  CHECK(job == NULL);
}

static void nonsense_is_refused(parcompute_session* session) {
  parcompute_array *a = arange(session, 4), *b = NULL;
  parcompute_job* job = NULL;
  parcompute_argument one[] = {PARCOMPUTE_ARRAY("a", a), PARCOMPUTE_INTEGER("axsi", 0)};
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_submit(session, "sort", one, 2, &job));
  CHECK_WORDS("did you mean 'axis'");
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_submit(session, "sotr", one, 1, &job));
  CHECK_WORDS("did you mean 'sort'");
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_submit(session, "matmul", one, 1, &job));
  CHECK_WORDS("'b'");
  parcompute_argument twice[] = {PARCOMPUTE_ARRAY("a", a), PARCOMPUTE_ARRAY("a", a)};
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_submit(session, "sort", twice, 2, &job));
  CHECK_WORDS("twice");
  parcompute_argument no_axis[] = {PARCOMPUTE_ARRAY("a", a), PARCOMPUTE_INTEGER("axis", 1ll << 40)};
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_submit(session, "sort", no_axis, 2, &job));
  CHECK(job == NULL);
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_array_view(a, "[1:2", &b));
  CHECK(b == NULL);

  const int64_t shape[] = {2};
  parcompute_argument no_dtype[] = {PARCOMPUTE_TEXT("dtype", "float63"), PARCOMPUTE_INTEGERS("shape", shape, 1), PARCOMPUTE_TEXT("name", "c-none")};
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_make(session, "zeros", no_dtype, 3, &b));
  CHECK_WORDS("float63");
  /* What is wrong is found before anything is made. */
  parcompute_argument one_too_many[] = {PARCOMPUTE_TEXT("dtype", "float64"), PARCOMPUTE_INTEGERS("shape", shape, 1), PARCOMPUTE_TEXT("name", "c-none"), PARCOMPUTE_INTEGER("vaule", 1)};
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_make(session, "zeros", one_too_many, 4, &b));
  CHECK_CODE(PARCOMPUTE_NOT_FOUND, parcompute_remove(session, "c-none"));
  parcompute_argument unfit[] = {PARCOMPUTE_TEXT("dtype", "uint8"), PARCOMPUTE_INTEGERS("shape", shape, 1), PARCOMPUTE_INTEGER("value", 300)};
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_make(session, "full", unfit, 3, &b));

  char* json = NULL;
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_status(NULL, &json));
  CHECK_WORDS("NULL");
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_submit(session, NULL, NULL, 0, &job));
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_submit(NULL, "nop", NULL, 0, &job));
  CHECK_WORDS("NULL");
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_job_wait(NULL, -1, NULL, NULL));
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_array_view(NULL, "[0]", &b));
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_array_view(a, NULL, &b));
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_remove(session, NULL));
  parcompute_argument no_array[] = {PARCOMPUTE_ARRAY("a", NULL)};
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_submit(session, "sort", no_array, 1, &job));
  parcompute_argument no_list[] = {PARCOMPUTE_TEXT("dtype", "int8"), PARCOMPUTE_INTEGERS("shape", NULL, 2)};
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_make(session, "zeros", no_list, 2, &b));
  parcompute_argument nameless[] = {{NULL, PARCOMPUTE_KIND_INTEGER, 0, {.integer = 0}}};
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_submit(session, "nop", nameless, 1, &job));

  parcompute_argument kind_of_no_kind[] = {{"a", 99, 0, {.integer = 0}}};
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_submit(session, "sort", kind_of_no_kind, 1, &job));
  parcompute_argument nowhere[] = {PARCOMPUTE_TEXT("socket", "/nonexistent/socket"), PARCOMPUTE_INTEGER("start", 0)};
  parcompute_session* none = NULL;
  CHECK_CODE(PARCOMPUTE_NO_SERVER, parcompute_connect(nowhere, 2, &none));
  CHECK(none == NULL);
  parcompute_array_free(a);
}

static void another_sessions_arrays_are_refused(const parcompute_server* server, parcompute_session* session) {
  parcompute_session* other = connected(server);
  parcompute_array* a = arange(other, 4);
  parcompute_argument sum[] = {PARCOMPUTE_TEXT("expression", "sum(x)"), PARCOMPUTE_OPERAND("x", a)};
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_run(session, "evaluate", sum, 2, NULL, NULL));
  CHECK_WORDS("another session");
  /* Its memory outlives it. */
  void* data = NULL;
  CHECK_OK(parcompute_array_data(a, &data));
  parcompute_session_free(other);
  CHECK(((double*)data)[3] == 3);
  parcompute_array_free(a);
}

static void texts_are_json(parcompute_session* session) {
  char* json = NULL;
  CHECK_OK(parcompute_status(session, &json));
  CHECK(json != NULL && json[0] == '{' && strstr(json, "server_pid") != NULL);
  parcompute_text_free(json);
  CHECK_OK(parcompute_list(session, &json));
  CHECK(json != NULL && json[0] == '[');
  parcompute_text_free(json);
  CHECK_OK(parcompute_cpus(0, &json));
  CHECK(json != NULL && strstr(json, "affinity") != NULL);
  parcompute_text_free(json);
  CHECK_OK(parcompute_expression_names("sin(x)**2 + pi*y.sum(axis=0)", &json));
  CHECK(strcmp(json, "{\"names\":[\"x\",\"y\"],\"constants\":[\"pi\"]}") == 0);
  parcompute_text_free(json);
  CHECK_CODE(PARCOMPUTE_INVALID_ARGUMENT, parcompute_expression_names("sin(", &json));
  CHECK(json == NULL);

  parcompute_array* a = arange(session, 6);
  parcompute_argument operand[] = {PARCOMPUTE_OPERAND("x", a)};
  int32_t dtype = 0, ndim = -1;
  int64_t shape[PARCOMPUTE_MAX_DIMS];
  CHECK_OK(parcompute_expression_type("x > 2", operand, 1, &dtype, &ndim, shape));
  CHECK(dtype == PARCOMPUTE_BOOL && ndim == 1 && shape[0] == 6);
  parcompute_array_free(a);
  CHECK(parcompute_dtype_from_name("complex64") == PARCOMPUTE_COMPLEX64 && parcompute_dtype_size(PARCOMPUTE_COMPLEX64) == 8);
  CHECK(parcompute_dtype_name(99) == NULL && parcompute_dtype_name(-1) == NULL && parcompute_dtype_from_name("x") == 0);
}

void test_interface(const parcompute_server* server) {
  parcompute_session* session = connected(server);
  CHECK(strcmp(parcompute_session_started(session), "") == 0);
  arrays_are_memory(session);
  operations_answer(session);
  jobs_have_lives(session);
  nonsense_is_refused(session);
  another_sessions_arrays_are_refused(server, session);
  texts_are_json(session);
  parcompute_session_free(session);
  parcompute_session_free(NULL);
}
