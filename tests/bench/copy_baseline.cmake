# Hand-over by copying, which the service is measured against: a pool, its worker program, and the program that the
# demo runs. Built also without the other tests, and only where something asks for it.
add_library(parcompute_copy_pool STATIC EXCLUDE_FROM_ALL tests/support/copy_message.cc tests/support/copy_pool.cc)
target_link_libraries(parcompute_copy_pool PUBLIC parcompute_array)

add_executable(parcompute-copy-worker EXCLUDE_FROM_ALL tests/support/copy_worker.cc)
target_link_libraries(parcompute-copy-worker PRIVATE parcompute_copy_pool parcompute_kernels PkgConfig::OPENBLAS)

add_executable(parcompute-copy-baseline EXCLUDE_FROM_ALL tests/bench/copy_baseline.cc)
target_link_libraries(parcompute-copy-baseline PRIVATE parcompute_copy_pool parcompute_operation CLI11::CLI11)
add_dependencies(parcompute-copy-baseline parcompute-copy-worker)
