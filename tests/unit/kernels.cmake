# Floor 4: plans and kernels, without processes.
add_executable(kernels_test
  copy_test.cc gather_test.cc instruction_set_test.cc into_test.cc kernel_numpy_test.cc kernel_registry_test.cc
  mandelbrot_test.cc plan_memory_test.cc reduce_test.cc)
target_link_libraries(kernels_test PRIVATE parcompute_kernels GTest::gmock GTest::gtest_main)
target_compile_definitions(kernels_test PRIVATE
  PARCOMPUTE_KERNEL_ORACLE="${PROJECT_SOURCE_DIR}/tests/python/kernel_oracle.py")
gtest_discover_tests(kernels_test PROPERTIES TIMEOUT 300)

# The loops of expressions.
pkg_check_modules(MPFR REQUIRED IMPORTED_TARGET mpfr)
add_executable(loops_test loops_math_test.cc loops_numpy_test.cc loops_test.cc)
target_link_libraries(loops_test PRIVATE parcompute_kernels PkgConfig::MPFR GTest::gmock GTest::gtest_main)
target_compile_definitions(loops_test PRIVATE
  PARCOMPUTE_LOOPS_ORACLE="${PROJECT_SOURCE_DIR}/tests/python/loops_oracle.py")
gtest_discover_tests(loops_test PROPERTIES TIMEOUT 300)

# Expressions: their text and types, and what they evaluate to.
add_executable(expression_test expression_numpy_test.cc expression_test.cc expression_verify_test.cc)
target_link_libraries(expression_test PRIVATE parcompute_expression GTest::gmock GTest::gtest_main)
target_compile_definitions(expression_test PRIVATE
  PARCOMPUTE_EXPRESSION_ORACLE="${PROJECT_SOURCE_DIR}/tests/python/expression_oracle.py")
gtest_discover_tests(expression_test PROPERTIES TIMEOUT 300)

add_executable(evaluate_test evaluate_numpy_test.cc evaluate_test.cc pace_test.cc pieces_test.cc redo_log_test.cc)
target_link_libraries(evaluate_test PRIVATE parcompute_kernels GTest::gmock GTest::gtest_main)
target_compile_definitions(evaluate_test PRIVATE
  PARCOMPUTE_EVALUATE_ORACLE="${PROJECT_SOURCE_DIR}/tests/python/evaluate_oracle.py")
gtest_discover_tests(evaluate_test PROPERTIES TIMEOUT 300)

# Products of arrays, and the dtypes that they promote to.
add_executable(products_test matmul_test.cc products_numpy_test.cc products_test.cc promotion_test.cc)
target_link_libraries(products_test PRIVATE parcompute_kernels GTest::gmock GTest::gtest_main)
target_compile_definitions(products_test PRIVATE
  PARCOMPUTE_PRODUCTS_ORACLE="${PROJECT_SOURCE_DIR}/tests/python/products_oracle.py")
gtest_discover_tests(products_test PROPERTIES TIMEOUT 300)

# Making arrays, and joining them.
add_executable(create_test concatenate_test.cc create_numpy_test.cc fill_test.cc random_test.cc half_test.cc)
target_link_libraries(create_test PRIVATE parcompute_kernels GTest::gmock GTest::gtest_main)
target_compile_definitions(create_test PRIVATE
  PARCOMPUTE_CREATE_ORACLE="${PROJECT_SOURCE_DIR}/tests/python/create_oracle.py")
gtest_discover_tests(create_test PROPERTIES TIMEOUT 300)

# Sorting, scanning, selecting and counting.
add_executable(order_test bins_test.cc order_numpy_test.cc scan_test.cc select_test.cc sort_test.cc)
target_link_libraries(order_test PRIVATE parcompute_kernels GTest::gmock GTest::gtest_main)
target_compile_definitions(order_test PRIVATE
  PARCOMPUTE_ORDER_ORACLE="${PROJECT_SOURCE_DIR}/tests/python/order_oracle.py")
gtest_discover_tests(order_test PROPERTIES TIMEOUT 300)
