# The Python package; a library with sanitizers inside cannot be loaded by a Python without.
if(NOT PARCOMPUTE_SANITIZE)
  foreach(name package_arrays package_evaluate package_numpy package_processes package_install package_readme)
    add_test(NAME python.${name} COMMAND ${CMAKE_CURRENT_LIST_DIR}/run ${CMAKE_CURRENT_LIST_DIR}/${name}_test.py ${PROJECT_BINARY_DIR}/bin)
    set_tests_properties(python.${name} PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77)
  endforeach()
endif()

# The command line against NumPy, and what it refuses.
foreach(name command_line command_line_cpus command_line_refusals command_line_surroundings)
  add_test(NAME python.${name} COMMAND ${CMAKE_CURRENT_LIST_DIR}/run ${CMAKE_CURRENT_LIST_DIR}/${name}_test.py ${PROJECT_BINARY_DIR}/bin)
  set_tests_properties(python.${name} PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
endforeach()
