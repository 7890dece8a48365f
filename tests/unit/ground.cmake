# Floors 0 and 1, and the channel.
add_executable(ground_test
  array_spec_test.cc overlap_test.cc atomic_file_test.cc cgroup_test.cc oom_kills_test.cc cpu_budget_test.cc dtype_test.cc memory_budget_test.cc
  npy_file_test.cc npy_test.cc npy_numpy_test.cc thread_counts_test.cc units_test.cc utf8_test.cc view_numpy_test.cc view_test.cc)
target_link_libraries(ground_test PRIVATE parcompute_array parcompute_topology GTest::gmock GTest::gtest_main)
set_source_files_properties(view_numpy_test.cc PROPERTIES
  COMPILE_DEFINITIONS PARCOMPUTE_VIEW_ORACLE="${PROJECT_SOURCE_DIR}/tests/python/view_oracle.py")
gtest_discover_tests(ground_test PROPERTIES TIMEOUT 120)

add_executable(shm_test sealed_memory_test.cc segment_header_test.cc)
target_link_libraries(shm_test PRIVATE parcompute_shm GTest::gmock GTest::gtest_main)
gtest_discover_tests(shm_test PROPERTIES TIMEOUT 60)

add_executable(channel_test channel_test.cc)
target_link_libraries(channel_test PRIVATE parcompute_channel GTest::gmock GTest::gtest_main)
gtest_discover_tests(channel_test PROPERTIES TIMEOUT 60)
