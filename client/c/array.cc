// Arrays, their facts and their memory.
#include "client/c/arguments.h"
#include "client/c/error.h"
#include "client/c/handles.h"
#include "client/c/operations.h"
#include "client/json/describe.h"

using namespace parcompute;
using namespace parcompute::c;

extern "C" {

std::int32_t parcompute_make(parcompute_session* session, const char* how, const parcompute_argument* arguments, std::size_t count, parcompute_array** array) {
  return guarded([&] {
    *array = nullptr;
    LockedSession locked(owner_of(session));
    Arguments a(given(how, "the way to make an array"), arguments, count, session->shared.get());
    *array = new_handle(session->shared, make_array(how, locked.session(), a));
  });
}

std::int32_t parcompute_array_view(const parcompute_array* array, const char* steps, parcompute_array** view) {
  return guarded([&] {
    *view = nullptr;
    owner_of(array).check_process();
    *view = new_handle(array->shared, array->array.viewed(given(steps, "the view")));
  });
}

// In a child of fork() it is its parent's still: what is mapped stays, and the server is told nothing.
void parcompute_array_free(parcompute_array* array) {
  if (array == nullptr || !array->shared->is_of_this_process()) return;
  const auto shared = array->shared;
  shared->discard(std::move(array->array));
  delete array;
}

const char* parcompute_array_name(const parcompute_array* array) {
  return array->array.name().c_str();
}

std::int32_t parcompute_array_dtype(const parcompute_array* array) {
  return static_cast<std::int32_t>(array->array.dtype());
}

std::int32_t parcompute_array_ndim(const parcompute_array* array) {
  return static_cast<std::int32_t>(array->array.shape().size());
}

const std::int64_t* parcompute_array_shape(const parcompute_array* array) {
  return array->array.shape().data();
}

const std::int64_t* parcompute_array_strides(const parcompute_array* array) {
  return array->array.info().strides.data();
}

std::uint64_t parcompute_array_nbytes(const parcompute_array* array) {
  return array->array.info().nbytes();
}

std::int32_t parcompute_array_writable(const parcompute_array* array) {
  return array->array.info().writable ? 1 : 0;
}

std::int32_t parcompute_array_is_view(const parcompute_array* array) {
  return array->array.is_view() ? 1 : 0;
}

std::int32_t parcompute_array_data(parcompute_array* array, void** data) {
  return guarded([&] {
    *data = nullptr;
    owner_of(array);
    *data = array->data;
    if (*data != nullptr || array->array.info().size() == 0) return;
    LockedSession locked(owner_of(array));
    *data = array->array.data();
    array->data = *data;
  });
}

std::int32_t parcompute_array_info(const parcompute_array* array, char** json) {
  return guarded([&] {
    *json = nullptr;
    *json = new_text(describe(array->array.info()).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  });
}

std::int32_t parcompute_export(parcompute_session* session, parcompute_array* array, const char* file) {
  return guarded([&] {
    LockedSession locked(owner_of(session));
    owner_of(array).check_process();
    locked.session().export_npy(array->array, given(file, "the file's name"));
  });
}

const char* parcompute_dtype_name(std::int32_t dtype) {
  const auto found = dtype_from_number(static_cast<std::uint32_t>(dtype));
  return found ? name(*found).data() : nullptr;
}

std::int32_t parcompute_dtype_from_name(const char* name) {
  const auto found = name == nullptr ? std::nullopt : dtype_from_name(name);
  return found ? static_cast<std::int32_t>(*found) : 0;
}

std::size_t parcompute_dtype_size(std::int32_t dtype) {
  const auto found = dtype_from_number(static_cast<std::uint32_t>(dtype));
  return found ? itemsize(*found) : 0;
}
}
