# The kernel's behaviour that the design leans on.
add_executable(linux_test ${CMAKE_CURRENT_LIST_DIR}/sockets_test.cc ${CMAKE_CURRENT_LIST_DIR}/memory_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/lifelines_test.cc)
target_link_libraries(linux_test PRIVATE parcompute_os GTest::gmock GTest::gtest_main)
gtest_discover_tests(linux_test PROPERTIES TIMEOUT 60)
