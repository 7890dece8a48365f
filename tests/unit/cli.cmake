# The command line client, without a server.
add_executable(cli_test
  cli_answer_test.cc cli_array_text_test.cc cli_number_test.cc cli_parse_test.cc cli_picture_test.cc
  cli_progress_bar_test.cc)
target_link_libraries(cli_test PRIVATE parcompute_cli PNG::PNG GTest::gmock GTest::gtest_main)
gtest_discover_tests(cli_test PROPERTIES TIMEOUT 60)
