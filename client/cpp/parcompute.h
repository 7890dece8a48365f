// The C++ client of parcompute: include this one.
#pragma once

#include "client/cpp/array.h"
#include "client/cpp/failure.h"
#include "client/cpp/job.h"
#include "client/cpp/operations.h"
#include "client/cpp/server_process.h"
#include "client/cpp/session.h"
