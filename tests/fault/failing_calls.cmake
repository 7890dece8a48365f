# Calls that fail: see failing_calls.md. The library is linked to the test as well as preloaded into the server.
add_library(parcompute_failing_calls SHARED ${CMAKE_CURRENT_LIST_DIR}/failing_calls.cc)
target_link_libraries(parcompute_failing_calls PRIVATE parcompute_flags)
add_executable(failing_calls_test ${CMAKE_CURRENT_LIST_DIR}/failing_calls_test.cc ${CMAKE_CURRENT_LIST_DIR}/failing_calls_fixture.cc
  ${CMAKE_CURRENT_LIST_DIR}/failing_calls_requests.cc ${CMAKE_CURRENT_LIST_DIR}/failing_calls_start_test.cc ${CMAKE_CURRENT_LIST_DIR}/short_of_memory_test.cc)
target_compile_definitions(failing_calls_test PRIVATE PARCOMPUTE_FAILING_CALLS_LIBRARY="$<TARGET_FILE:parcompute_failing_calls>")
target_link_libraries(failing_calls_test PRIVATE parcompute_failing_calls parcompute_test_support GTest::gtest_main)
add_dependencies(failing_calls_test parcompute-server parcompute-worker)
gtest_discover_tests(failing_calls_test PROPERTIES TIMEOUT 7200)
