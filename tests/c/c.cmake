# The C interface, as a C program has it; and that the library exports nothing else.
add_executable(c_test c/interface_test.c c/forks_test.c c/threads_test.c c/main.c)
find_package(Threads REQUIRED)
target_link_libraries(c_test PRIVATE parcompute_c parcompute_flags Threads::Threads)
add_dependencies(c_test parcompute-server parcompute-worker)
set_target_properties(c_test PROPERTIES C_STANDARD 99 C_EXTENSIONS OFF)
target_compile_options(c_test PRIVATE -Werror)
add_test(NAME c.interface COMMAND c_test)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME c.exports COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/exports_test.py $<TARGET_FILE:parcompute_c> ${PROJECT_SOURCE_DIR}/client/c/parcompute.h)
set_tests_properties(c.interface c.exports PROPERTIES TIMEOUT 120)

# The examples, as they stand.
add_executable(parcompute-example-c ${PROJECT_SOURCE_DIR}/client/examples/standardize.c)
target_link_libraries(parcompute-example-c PRIVATE parcompute_c parcompute_flags)
set_target_properties(parcompute-example-c PROPERTIES C_STANDARD 99 C_EXTENSIONS OFF)
add_test(NAME c.example COMMAND parcompute-example-c)
set_tests_properties(c.example PROPERTIES TIMEOUT 60 PASS_REGULAR_EXPRESSION "mean of each column: +-?0.000 +-?0.000 +-?0.000" FAIL_REGULAR_EXPRESSION "Sanitizer|runtime error")
