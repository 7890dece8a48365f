/* parcompute.h: the stable C interface of parcompute, for C, Fortran, Julia, R, Rust, Python and whoever calls C.
 *
 *   parcompute_session* session = NULL;
 *   parcompute_array *a = NULL, *sums = NULL;
 *   const int64_t shape[] = {1000, 1000};
 *   parcompute_argument of_a[] = {PARCOMPUTE_TEXT("dtype", "float64"), PARCOMPUTE_INTEGERS("shape", shape, 2)};
 *   if (parcompute_connect(NULL, 0, &session) != PARCOMPUTE_OK || parcompute_make(session, "zeros", of_a, 2, &a) != PARCOMPUTE_OK) {
 *     fprintf(stderr, "%s\n", parcompute_error_message());
 *     ...
 *   }
 *   parcompute_argument sum[] = {PARCOMPUTE_TEXT("expression", "sum(a, axis=0)"), PARCOMPUTE_OPERAND("a", a)};
 *   parcompute_run(session, "evaluate", sum, 2, &sums, NULL);
 *
 * Functions and arguments. What can be asked for is named by words ("zeros", "evaluate"), and what it takes by named arguments: the
 * tables are in README.md. A new word needs no new function, and no struct of this header ever changes. A name that is not known is an
 * error that says which one is near.
 *
 * Errors. Functions that can fail return PARCOMPUTE_OK or another parcompute_code; then parcompute_error_message() has a sentence for
 * a person: what happened, to what, and what to do. It is the calling thread's, until its next call of a function that can fail. What a failed
 * function was to hand out it sets to NULL. No exception leaves the library.
 *
 * Ownership. What a function hands out through a pointer to a pointer is the caller's, who gives it back once, by parcompute_..._free();
 * NULL may be freed. Strings and numbers that getters return belong to their handle. Arguments are read during the call alone. The handles of a
 * session may be freed before or after it.
 *
 * Memory. An array's memory is mapped at parcompute_array_data(), and stays until the handle and the views made from it are freed, also when
 * the server has gone. An anonymous array is removed with its last handle; a named one stays with the server.
 *
 * Threads. A session and its handles may be used by several threads at once, but a handle that one thread frees must not be in use by another. Calls of one session
 * take turns; who waits for a job holds up nobody, and parcompute_..._free() waits for nobody.
 *
 * fork(). A child has its parent's mappings, and no session: what it asks of a handle from before is refused, and freeing it does nothing.
 * It connects anew. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define PARCOMPUTE_API __attribute__((visibility("default")))
#else
#define PARCOMPUTE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors: these numbers stay */

typedef enum parcompute_code {
  PARCOMPUTE_OK = 0,
  PARCOMPUTE_COMPUTATION_FAILED = 1, /* the job ran and failed */
  PARCOMPUTE_INVALID_ARGUMENT = 2,   /* the request makes no sense: mismatched shapes, an unknown word */
  PARCOMPUTE_BAD_DATA = 3,           /* a file's or message's bytes are not what they claim to be */
  PARCOMPUTE_NOT_FOUND = 4,          /* no such array, job or file */
  PARCOMPUTE_ALREADY_EXISTS = 5,     /* the name is taken */
  PARCOMPUTE_NO_SERVER = 6,          /* nobody answers, or the server went away; the next call connects again */
  PARCOMPUTE_CANNOT_CREATE = 7,      /* a file, socket or segment cannot be made */
  PARCOMPUTE_OVER_BUDGET = 8,        /* memory, quota or table full */
  PARCOMPUTE_PROTOCOL_VERSION = 9,   /* library and server do not speak the same version */
  PARCOMPUTE_NOT_PERMITTED = 10,     /* this user may not */
  PARCOMPUTE_TIMED_OUT = 11,         /* the time given has passed */
  PARCOMPUTE_CANCELLED = 12,         /* someone cancelled the job */
  PARCOMPUTE_UNSUPPORTED = 13,       /* a valid request that this version does not serve */
  PARCOMPUTE_SYSTEM = 14,            /* any other refusal of the operating system */
  PARCOMPUTE_INTERRUPTED = 100,      /* a signal came while parcompute_job_wait() waited: call again to wait on */
  PARCOMPUTE_FORKED = 101            /* the handle was the parent's, before fork() */
} parcompute_code;

/* Of this thread's last failed call. Never NULL. */
PARCOMPUTE_API const char* parcompute_error_message(void);
PARCOMPUTE_API int32_t parcompute_error_errno(void); /* 0 where the system was not asked */
/* "not found", ...: a code in one or two words. */
PARCOMPUTE_API const char* parcompute_code_name(int32_t code);

/* "0.1.0" */
PARCOMPUTE_API const char* parcompute_version(void);

/* ---- handles */

typedef struct parcompute_session parcompute_session;
typedef struct parcompute_array parcompute_array;
typedef struct parcompute_job parcompute_job;
typedef struct parcompute_server parcompute_server;

/* ---- arguments */

typedef enum parcompute_kind {
  PARCOMPUTE_KIND_ARRAY = 1,    /* value.array; NULL: as if it were not given */
  PARCOMPUTE_KIND_OPERAND = 2,  /* value.array: of an expression, which calls it `name` */
  PARCOMPUTE_KIND_ARRAYS = 3,   /* value.arrays: `count` of them */
  PARCOMPUTE_KIND_INTEGER = 4,  /* value.integer; also for yes (1) and no (0) */
  PARCOMPUTE_KIND_NATURAL = 5,  /* value.natural: where a number may be above INT64_MAX */
  PARCOMPUTE_KIND_REAL = 6,     /* value.real */
  PARCOMPUTE_KIND_COMPLEX = 7,  /* value.reals: the real and the imaginary part */
  PARCOMPUTE_KIND_TEXT = 8,     /* value.text: UTF-8, ends in 0 */
  PARCOMPUTE_KIND_INTEGERS = 9, /* value.integers: `count` of them */
  PARCOMPUTE_KIND_REALS = 10    /* value.reals: `count` of them */
} parcompute_kind;

typedef struct parcompute_argument {
  const char* name;
  int32_t kind;  /* a parcompute_kind */
  int32_t count; /* of a list */
  union {
    parcompute_array* array;
    parcompute_array* const* arrays;
    int64_t integer;
    uint64_t natural;
    double real;
    const char* text;
    const int64_t* integers;
    const double* reals;
  } value;
} parcompute_argument;

/* For initializers. */
#define PARCOMPUTE_ARRAY(name, a) {name, PARCOMPUTE_KIND_ARRAY, 0, {.array = a}}
#define PARCOMPUTE_OPERAND(name, a) {name, PARCOMPUTE_KIND_OPERAND, 0, {.array = a}}
#define PARCOMPUTE_ARRAYS(name, list, n) {name, PARCOMPUTE_KIND_ARRAYS, n, {.arrays = list}}
#define PARCOMPUTE_INTEGER(name, number) {name, PARCOMPUTE_KIND_INTEGER, 0, {.integer = number}}
#define PARCOMPUTE_REAL(name, number) {name, PARCOMPUTE_KIND_REAL, 0, {.real = number}}
#define PARCOMPUTE_TEXT(name, words) {name, PARCOMPUTE_KIND_TEXT, 0, {.text = words}}
#define PARCOMPUTE_INTEGERS(name, list, n) {name, PARCOMPUTE_KIND_INTEGERS, n, {.integers = list}}
#define PARCOMPUTE_REALS(name, list, n) {name, PARCOMPUTE_KIND_REALS, n, {.reals = list}}

/* ---- sessions */

/* Connects to the server that is found, or starts one. Arguments: socket, start, client, patience. */
PARCOMPUTE_API int32_t parcompute_connect(const parcompute_argument* arguments, size_t count, parcompute_session** session);
/* Jobs that were not detached, and anonymous arrays, go with it. */
PARCOMPUTE_API void parcompute_session_free(parcompute_session* session);
/* Why connecting started a server; empty where it found one. */
PARCOMPUTE_API const char* parcompute_session_started(const parcompute_session* session);
/* JSON, as `parcompute-client status --json` has it. */
PARCOMPUTE_API int32_t parcompute_status(parcompute_session* session, char** json);
/* JSON lists of arrays and of jobs, as `array list --json` and `job list --json`. */
PARCOMPUTE_API int32_t parcompute_list(parcompute_session* session, char** json);
PARCOMPUTE_API int32_t parcompute_jobs(parcompute_session* session, char** json);
/* JSON: how many CPUs this process may use, and what decided it. */
PARCOMPUTE_API int32_t parcompute_cpus(int32_t hyperthreads, char** json);
/* Seconds that a call waits for a server that says nothing. */
PARCOMPUTE_API int32_t parcompute_set_patience(parcompute_session* session, double seconds);
/* Tells the server to leave, and returns when it is gone. Named arrays stay for the next one, unless they are dropped. */
PARCOMPUTE_API int32_t parcompute_stop_server(parcompute_session* session, int32_t drop_arrays);
/* For every char** above and below. */
PARCOMPUTE_API void parcompute_text_free(char* text);

/* A server for as long as the handle lives, on a socket of its own. Arguments: workers, memory, hyperthreads. */
PARCOMPUTE_API int32_t parcompute_private_server(const parcompute_argument* arguments, size_t count, parcompute_server** server);
PARCOMPUTE_API const char* parcompute_server_socket(const parcompute_server* server);
PARCOMPUTE_API void parcompute_server_free(parcompute_server* server);

/* ---- arrays */

/* NumPy's dtypes; these numbers stay. */
typedef enum parcompute_dtype {
  PARCOMPUTE_BOOL = 1,
  PARCOMPUTE_INT8 = 2,
  PARCOMPUTE_INT16 = 3,
  PARCOMPUTE_INT32 = 4,
  PARCOMPUTE_INT64 = 5,
  PARCOMPUTE_UINT8 = 6,
  PARCOMPUTE_UINT16 = 7,
  PARCOMPUTE_UINT32 = 8,
  PARCOMPUTE_UINT64 = 9,
  PARCOMPUTE_FLOAT32 = 10,
  PARCOMPUTE_FLOAT64 = 11,
  PARCOMPUTE_COMPLEX64 = 12,
  PARCOMPUTE_COMPLEX128 = 13
} parcompute_dtype;
#define PARCOMPUTE_MAX_DIMS 32

/* How: zeros, full, arange, linspace, eye, import, attach, find. */
PARCOMPUTE_API int32_t parcompute_make(parcompute_session* session, const char* how, const parcompute_argument* arguments, size_t count,
                                       parcompute_array** array);
/* The same memory seen otherwise: "[10:20, ::-1]", ".T", ".reshape(4, -1)", one behind the other. */
PARCOMPUTE_API int32_t parcompute_array_view(const parcompute_array* array, const char* steps, parcompute_array** view);
PARCOMPUTE_API void parcompute_array_free(parcompute_array* array);

PARCOMPUTE_API const char* parcompute_array_name(const parcompute_array* array); /* empty: anonymous */
PARCOMPUTE_API int32_t parcompute_array_dtype(const parcompute_array* array);
PARCOMPUTE_API int32_t parcompute_array_ndim(const parcompute_array* array);
PARCOMPUTE_API const int64_t* parcompute_array_shape(const parcompute_array* array);
PARCOMPUTE_API const int64_t* parcompute_array_strides(const parcompute_array* array); /* bytes */
PARCOMPUTE_API uint64_t parcompute_array_nbytes(const parcompute_array* array);        /* elements times their size */
PARCOMPUTE_API int32_t parcompute_array_writable(const parcompute_array* array);
PARCOMPUTE_API int32_t parcompute_array_is_view(const parcompute_array* array);
/* Element (0, ..., 0), mapped into this process without a copy; NULL where there are no elements. */
PARCOMPUTE_API int32_t parcompute_array_data(parcompute_array* array, void** data);
/* JSON: these facts and more, as they were when the handle was made. */
PARCOMPUTE_API int32_t parcompute_array_info(const parcompute_array* array, char** json);
/* Writes a .npy file: whole, or not at all. */
PARCOMPUTE_API int32_t parcompute_export(parcompute_session* session, parcompute_array* array, const char* file);

/* Of arrays by their names. */
PARCOMPUTE_API int32_t parcompute_remove(parcompute_session* session, const char* name);
/* "private", "group-read", "group-write" */
PARCOMPUTE_API int32_t parcompute_set_mode(parcompute_session* session, const char* name, const char* mode);
/* Takes an incomplete array as it is. `was_incomplete` may be NULL. */
PARCOMPUTE_API int32_t parcompute_accept(parcompute_session* session, const char* name, int32_t* was_incomplete);

/* "float64"; NULL where the number is no dtype. 0 where the name is none. */
PARCOMPUTE_API const char* parcompute_dtype_name(int32_t dtype);
PARCOMPUTE_API int32_t parcompute_dtype_from_name(const char* name);
PARCOMPUTE_API size_t parcompute_dtype_size(int32_t dtype);

/* ---- jobs */

/* One element, as its dtype has it in memory. dtype 0: there is none. */
typedef struct parcompute_scalar {
  int32_t dtype;
  int32_t size; /* of the element, in bytes */
  unsigned char bytes[16];
} parcompute_scalar;

typedef enum parcompute_job_state {
  PARCOMPUTE_JOB_QUEUED = 1,
  PARCOMPUTE_JOB_RUNNING = 2,
  PARCOMPUTE_JOB_DONE = 3,
  PARCOMPUTE_JOB_FAILED = 4,
  PARCOMPUTE_JOB_CANCELLED = 5
} parcompute_job_state;

/* Operation: evaluate, matmul, dot, vecdot, outer, sort, argsort, unique, searchsorted, cumsum, cumprod, take, compress, bincount,
 * histogram, percentile, concatenate, stack, random, mandelbrot, nop. Each takes, besides its own arguments, output, into, after, priority,
 * background, time_limit, max_workers, chunk_blocks, detach. */
PARCOMPUTE_API int32_t parcompute_submit(parcompute_session* session, const char* operation, const parcompute_argument* arguments, size_t count,
                                         parcompute_job** job);
/* Submits, and waits to the end, whatever signals come. `output` and `scalar` as parcompute_job_wait() has them. */
PARCOMPUTE_API int32_t parcompute_run(parcompute_session* session, const char* operation, const parcompute_argument* arguments, size_t count,
                                      parcompute_array** output, parcompute_scalar* scalar);
/* parcompute_submit() and parcompute_job_wait() in one call. Where the wait ends before the job does (PARCOMPUTE_INTERRUPTED, PARCOMPUTE_TIMED_OUT),
 * `job` is handed out, to be waited for again or cancelled; else it is NULL. */
PARCOMPUTE_API int32_t parcompute_submit_and_wait(parcompute_session* session, const char* operation, const parcompute_argument* arguments, size_t count,
                                                  double seconds, parcompute_job** job, parcompute_array** output, parcompute_scalar* scalar);
/* Seconds below 0: for as long as it takes. PARCOMPUTE_TIMED_OUT: the job goes on, and can be waited for again. A result is an array or a scalar;
 * either pointer may be NULL. */
PARCOMPUTE_API int32_t parcompute_job_wait(parcompute_job* job, double seconds, parcompute_array** output, parcompute_scalar* scalar);
/* Ends it after the blocks that workers have in hand. No effect on one that has ended. */
PARCOMPUTE_API int32_t parcompute_job_cancel(parcompute_job* job);
PARCOMPUTE_API int32_t parcompute_job_id(parcompute_job* job, uint64_t* id);
/* How far it is; each pointer may be NULL. */
PARCOMPUTE_API int32_t parcompute_job_progress(parcompute_job* job, int32_t* state, uint64_t* blocks_done, uint64_t* blocks_total);
/* JSON, as `job show --json` and `job explain --json` have it. */
PARCOMPUTE_API int32_t parcompute_job_info(parcompute_job* job, char** json);
PARCOMPUTE_API int32_t parcompute_job_explain(parcompute_job* job, char** json);
PARCOMPUTE_API int32_t parcompute_find_job(parcompute_session* session, uint64_t id, parcompute_job** job);
/* The job goes on. */
PARCOMPUTE_API void parcompute_job_free(parcompute_job* job);

/* ---- expressions, without a server */

/* JSON: {"names": [...]} that the expression needs bound, {"constants": [...]} of its names that mean pi, e, ... unless they are bound. */
PARCOMPUTE_API int32_t parcompute_expression_names(const char* expression, char** json);
/* What it would give: operands as for "evaluate". `shape` has room for PARCOMPUTE_MAX_DIMS. */
PARCOMPUTE_API int32_t parcompute_expression_type(const char* expression, const parcompute_argument* operands, size_t count, int32_t* dtype,
                                                  int32_t* ndim, int64_t* shape);

#ifdef __cplusplus
}
#endif
