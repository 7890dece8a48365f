// What parcompute_submit() and parcompute_make() can be asked for: a table of words each. Internal to the library.
#pragma once

#include <string_view>

#include "client/c/arguments.h"

namespace parcompute::c {

// Throws where nothing is called so.
Operation operation_of(std::string_view word, Session& session, Arguments& arguments);
SubmitOptions submit_options(Arguments& arguments);
Array make_array(std::string_view how, Session& session, Arguments& arguments);

}  // namespace parcompute::c
