# Floor 4: plans and kernels, without processes.
add_executable(kernels_test
  copy_test.cc instruction_set_test.cc kernel_numpy_test.cc kernel_registry_test.cc mandelbrot_test.cc matmul_test.cc
  reduce_test.cc)
target_link_libraries(kernels_test PRIVATE parcompute_kernels GTest::gmock GTest::gtest_main)
target_compile_definitions(kernels_test PRIVATE
  PARCOMPUTE_KERNEL_ORACLE="${PROJECT_SOURCE_DIR}/tests/python/kernel_oracle.py")
gtest_discover_tests(kernels_test PROPERTIES TIMEOUT 300)

# Sorting, scanning, selecting and counting.
add_executable(order_test bins_test.cc order_numpy_test.cc scan_test.cc select_test.cc sort_test.cc)
target_link_libraries(order_test PRIVATE parcompute_kernels GTest::gmock GTest::gtest_main)
target_compile_definitions(order_test PRIVATE
  PARCOMPUTE_ORDER_ORACLE="${PROJECT_SOURCE_DIR}/tests/python/order_oracle.py")
gtest_discover_tests(order_test PROPERTIES TIMEOUT 300)
