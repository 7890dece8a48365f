# Floor 4: the server's core, driven by scripted events.
add_executable(core_test
  ${CMAKE_CURRENT_LIST_DIR}/births_test.cc ${CMAKE_CURRENT_LIST_DIR}/chunk_sizing_test.cc ${CMAKE_CURRENT_LIST_DIR}/cut_test.cc ${CMAKE_CURRENT_LIST_DIR}/dispatch_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/fair_queue_test.cc ${CMAKE_CURRENT_LIST_DIR}/fresh_blocks_test.cc ${CMAKE_CURRENT_LIST_DIR}/job_test.cc ${CMAKE_CURRENT_LIST_DIR}/lifecycle_test.cc ${CMAKE_CURRENT_LIST_DIR}/look_out_test.cc ${CMAKE_CURRENT_LIST_DIR}/memory_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/output_test.cc ${CMAKE_CURRENT_LIST_DIR}/placement_test.cc ${CMAKE_CURRENT_LIST_DIR}/pool_size_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/random_turns_test.cc ${CMAKE_CURRENT_LIST_DIR}/turns_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/queue_test.cc ${CMAKE_CURRENT_LIST_DIR}/redo_test.cc ${CMAKE_CURRENT_LIST_DIR}/request_test.cc ${CMAKE_CURRENT_LIST_DIR}/rights_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/shares_test.cc ${CMAKE_CURRENT_LIST_DIR}/spare_test.cc)
target_link_libraries(core_test PRIVATE parcompute_core parcompute_topology GTest::gmock GTest::gtest_main)
gtest_discover_tests(core_test PROPERTIES TIMEOUT 120)
