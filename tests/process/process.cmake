# The real programs, started and talked to.
add_library(parcompute_test_support STATIC
  ${CMAKE_CURRENT_LIST_DIR}/../support/private_shm.cc
  ${CMAKE_CURRENT_LIST_DIR}/../support/process_watch.cc
  ${CMAKE_CURRENT_LIST_DIR}/../support/raw_client.cc
  ${CMAKE_CURRENT_LIST_DIR}/../support/server_fixture.cc
  ${CMAKE_CURRENT_LIST_DIR}/../support/service_manager.cc
  ${CMAKE_CURRENT_LIST_DIR}/../support/test_client.cc)
target_link_libraries(parcompute_test_support PUBLIC
  parcompute_client parcompute_channel parcompute_shm GTest::gmock)

# A client to be killed, or to be started several times at once.
add_executable(parcompute-test-client ${CMAKE_CURRENT_LIST_DIR}/test_client_main.cc ${CMAKE_CURRENT_LIST_DIR}/../fault/wanderer.cc)
target_link_libraries(parcompute-test-client PRIVATE parcompute_client)

add_executable(process_test
  ${CMAKE_CURRENT_LIST_DIR}/arrays_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/budget_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/client_death_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/cpus_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/crowd_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/cut_chunks_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/determinism_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/foreign_descriptors_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/frame_bombs_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/hostile_client_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/hostile_request_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/into_arrays_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/job_order_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/jobs_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/leftovers_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/many_arrays_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/neighbours_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/npy_files_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/old_client_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/one_pool_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/process_tree_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/queue_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/quotas_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/reconnect_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/sealed_death_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/sealed_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/server_death_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/sharing_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/short_group_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/shortened_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/signals_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/silent_server_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/spare_segments_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/starting_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/worker_death_test.cc)
target_link_libraries(process_test PRIVATE parcompute_test_support GTest::gtest_main)
add_dependencies(process_test parcompute-test-client parcompute-server parcompute-worker)
gtest_discover_tests(process_test PROPERTIES TIMEOUT 180)
