# The command line against NumPy.
add_test(NAME python.command_line COMMAND ${CMAKE_CURRENT_LIST_DIR}/run ${CMAKE_CURRENT_LIST_DIR}/command_line_test.py ${PROJECT_BINARY_DIR}/bin)
set_tests_properties(python.command_line PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
