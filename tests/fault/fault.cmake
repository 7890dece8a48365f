# Campaigns: faults at random, in numbers. Here they are short; tests/run --campaign makes them as long as wanted.
add_executable(fault_test
  ${CMAKE_CURRENT_LIST_DIR}/campaign.cc
  ${CMAKE_CURRENT_LIST_DIR}/clients_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/coordinator_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/frames_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/full_shm_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/in_place.cc
  ${CMAKE_CURRENT_LIST_DIR}/job_mix.cc
  ${CMAKE_CURRENT_LIST_DIR}/kills_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/ledger.cc
  ${CMAKE_CURRENT_LIST_DIR}/soak_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/truncations_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/upgrades_test.cc
  ${CMAKE_CURRENT_LIST_DIR}/victims.cc)
target_link_libraries(fault_test PRIVATE parcompute_test_support GTest::gtest_main)
add_dependencies(fault_test parcompute-test-client parcompute-server parcompute-worker)
gtest_discover_tests(fault_test PROPERTIES LABELS campaign TIMEOUT 300)

# A kill in every state: nothing is left to chance, and nothing takes longer for a campaign's sake.
add_executable(lifecycle_kills_test ${CMAKE_CURRENT_LIST_DIR}/lifecycle_kills_test.cc ${CMAKE_CURRENT_LIST_DIR}/victims.cc)
target_link_libraries(lifecycle_kills_test PRIVATE parcompute_test_support GTest::gtest_main)
add_dependencies(lifecycle_kills_test parcompute-server parcompute-worker)
gtest_discover_tests(lifecycle_kills_test PROPERTIES TIMEOUT 180)
