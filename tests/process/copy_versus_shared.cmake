# Against copying. `roof`: it compares speeds; nothing else may run meanwhile.
add_executable(copy_versus_shared_test ${CMAKE_CURRENT_LIST_DIR}/copy_versus_shared_test.cc)
target_link_libraries(copy_versus_shared_test PRIVATE
  parcompute_client parcompute_copy_pool parcompute_base GTest::gtest_main)
add_dependencies(copy_versus_shared_test parcompute-copy-worker parcompute-server parcompute-worker)
gtest_discover_tests(copy_versus_shared_test PROPERTIES LABELS roof RUN_SERIAL TRUE TIMEOUT 300)
